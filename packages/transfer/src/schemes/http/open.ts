/** What a GET brings, of what is held and of what is known: decided by its answer, and asked again where that refuses ranges. */
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import type { HostLocation } from '@khumbu/shared/locations/location';
import type { TransferReason } from '../../faults/fault.js';
import { fileNamesOf, type Labels } from '../../labels.js';
import type { Opened, OpenOptions, TransferContext, Validators } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import {
  conditionalHeaders,
  decideResponse,
  type FetchDecision,
  type Held,
  isUnconditional,
  mayRefuseTheRange,
} from './content-range.js';
import { explain, GET, type HttpGetResponse, httpGet } from './get.js';
import { Session } from './session.js';

/** Failures without a response. */
const WITHOUT_ANSWER: readonly TransferReason[] = [
  'cut',
  'bad_response',
  'too_many_redirects',
  'location_refused',
  'scheme_unsupported',
];

function heldOf({ offset, total, validators = {}, labels }: OpenOptions): Held | undefined {
  if (offset === 0) return undefined;
  const coding = labels?.coding;
  return {
    offset,
    validators,
    ...(total === undefined ? {} : { total }),
    ...(coding === undefined ? {} : { coding }),
  };
}

/** A strong ETag stands for the same bytes: another size is a coding that was put on, or a server that is wrong. */
const sizeBefore = (before: Held | undefined, { validators, total }: Pick<Held, 'validators' | 'total'>): Labels =>
  before?.total !== undefined &&
  before.total !== total &&
  validators.etag !== undefined &&
  before.validators.etag === validators.etag
    ? { sizeBefore: before.total }
    : {};

type Use = (piece: Buffer) => void;
const bodyOf = (answer: HttpGetResponse) => ({
  readBody: (use: Use) => answer.readBody(use),
  drop: () => answer.drop(),
});
/** Nothing is missing. */
const NO_BODY = { readBody: () => Promise.resolve(), drop: () => undefined };

/** The requests of one try. */
export class HttpDownload {
  readonly #context: TransferContext;
  readonly #session = new Session();
  /** A range or a condition may have been refused: requests without them follow. */
  #isPlain = false;

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /** Throws `TransferError`, or the signal's reason. */
  async open(location: HostLocation, options: OpenOptions): Promise<Opened> {
    let held = heldOf(options);
    for (;;) {
      const asked = this.#isPlain ? undefined : held;
      const known = this.#isPlain ? undefined : options.known;
      const answer = await this.#ask(location, asked, known, options.signal);
      if (!answer) continue;
      const names = [...fileNamesOf(location.url), ...fileNamesOf(answer.url)];
      const decision = decideResponse(answer, asked, known, Date.now(), names);
      // What is held is of no use with this answer.
      if (decision.kind === 'changed') held = undefined;
      const opened = this.#opened(decision, answer, held);
      if (opened) return opened;
    }
  }

  /** `undefined`: ask again, plainly. */
  async #ask(
    location: HostLocation,
    held: Held | undefined,
    known: Validators | undefined,
    signal: AbortSignal,
  ): Promise<HttpGetResponse | undefined> {
    const conditions = conditionalHeaders(held, known);
    const isConditional = !isUnconditional(conditions);
    const { userAgent = DEFAULT_USER_AGENT } = this.#context;
    const headers = { 'user-agent': userAgent, ...conditions };
    const request = { ...this.#context, session: this.#session, headers, signal };
    const answer = await httpGet(location, request).catch((error: unknown) => {
      // Some servers close the connection or redirect elsewhere when they do not support ranges.
      if (isConditional && error instanceof TransferError && WITHOUT_ANSWER.includes(error.reason)) return undefined;
      throw error;
    });
    const isAnswered = answer?.status === 416 && held !== undefined;
    if (answer && (!isConditional || isAnswered || !mayRefuseTheRange(answer, conditions))) return answer;
    answer?.drop();
    this.#isPlain = true;
    return undefined;
  }

  /** `undefined`: ask again. */
  #opened(decision: FetchDecision, answer: HttpGetResponse, held: Held | undefined): Opened | undefined {
    switch (decision.kind) {
      case 'start_anew': {
        const { total, validators } = decision;
        const labels = { ...decision.labels, ...sizeBefore(held, decision) };
        const labelled = Object.keys(labels).length === 0 ? {} : { labels };
        return { kind: 'whole', total, validators, ...labelled, ...bodyOf(answer) };
      }
      case 'resume':
        return { kind: 'part', offset: decision.offset, total: decision.total, ...bodyOf(answer) };
      case 'fail':
        answer.drop();
        throw new TransferError(GET, decision.reason, explain(answer, decision.reason), decision);
      case 'unchanged':
        answer.drop();
        return answer.status === 200 ? { kind: 'unchanged', sentAnyway: true } : { kind: 'unchanged' };
      case 'complete': {
        answer.drop();
        const offset = held?.offset ?? 0;
        return { kind: 'part', offset, total: offset, ...NO_BODY };
      }
      case 'changed':
        answer.drop();
        return undefined;
    }
  }
}
