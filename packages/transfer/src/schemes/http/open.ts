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
  isRestEnough,
  isUnconditional,
  mayPass,
  mayRefuseTheRange,
} from './content-range.js';
import { explain, GET, type HttpGetResponse, httpGet } from './get.js';
import { passOverlap } from './overlap.js';
import { Session } from './session.js';

const NOTHING = Buffer.alloc(0);

/** Failures without a response. */
const WITHOUT_ANSWER: readonly TransferReason[] = [
  'cut',
  'bad_response',
  'too_many_redirects',
  'location_refused',
  'scheme_unsupported',
];

function heldOf({ offset, total, validators = {}, labels, tail = NOTHING }: OpenOptions): Held | undefined {
  if (offset === 0) return undefined;
  const coding = labels?.coding;
  return {
    offset,
    overlap: tail.length,
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
  readBody: (use: Use) =>
    answer.readBody((piece) => {
      use(piece);
      return undefined;
    }),
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
  /** That may have been a fault of the moment: what is held is not given up for it. Once; then it counts as a refusal. */
  #doubt: 'none' | 'open' | 'settled' = 'none';

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /** Throws `TransferError`, or the signal's reason. */
  async open(location: HostLocation, options: OpenOptions): Promise<Opened> {
    const { known, signal, tail = NOTHING } = options;
    let held = heldOf(options);
    for (;;) {
      const answer = await this.#ask(location, held, known, signal);
      if (!answer) continue;
      const names = [...fileNamesOf(location.url), ...fileNamesOf(answer.url)];
      const decision = decideResponse(answer, { held, known, isPlain: this.#isPlain, nowMs: Date.now(), names });
      if (this.#isAskedAgain(decision, held)) {
        answer.drop();
        continue;
      }
      const opened = await this.#opened(decision, answer, held, tail);
      if (opened) return opened;
      // What is held is of no use with this answer.
      held = undefined;
    }
  }

  /** The server is well now, and has still what is held: the rest of that is asked for once more. */
  #isAskedAgain(decision: FetchDecision, held: Held | undefined): boolean {
    if (this.#doubt !== 'open' || decision.kind !== 'start_anew' || !held || !isRestEnough(decision, held))
      return false;
    this.#doubt = 'settled';
    this.#isPlain = false;
    return true;
  }

  #askPlainly(isOfTheMoment: boolean): void {
    this.#isPlain = true;
    this.#doubt = isOfTheMoment && this.#doubt === 'none' ? 'open' : 'settled';
  }

  /** `undefined`: ask again, plainly. */
  async #ask(
    location: HostLocation,
    held: Held | undefined,
    known: Validators | undefined,
    signal: AbortSignal,
  ): Promise<HttpGetResponse | undefined> {
    const conditions = this.#isPlain ? conditionalHeaders(undefined, undefined) : conditionalHeaders(held, known);
    const isConditional = !isUnconditional(conditions);
    const { userAgent = DEFAULT_USER_AGENT } = this.#context;
    const headers = { 'user-agent': userAgent, ...conditions };
    const request = { ...this.#context, session: this.#session, headers, signal };
    let answer: HttpGetResponse;
    try {
      answer = await httpGet(location, request);
    } catch (error) {
      // Some servers close the connection or redirect elsewhere when they do not support ranges.
      if (!(isConditional && error instanceof TransferError && WITHOUT_ANSWER.includes(error.reason))) throw error;
      this.#askPlainly(error.reason === 'cut');
      return undefined;
    }
    const isAnswered = answer.status === 416 && held !== undefined;
    if (!isConditional || isAnswered || !mayRefuseTheRange(answer, conditions)) return answer;
    answer.drop();
    this.#askPlainly(mayPass(answer.status));
    return undefined;
  }

  /** `undefined`: ask again. */
  async #opened(
    decision: FetchDecision,
    answer: HttpGetResponse,
    held: Held | undefined,
    tail: Buffer,
  ): Promise<Opened | undefined> {
    switch (decision.kind) {
      case 'start_anew': {
        const { total, validators } = decision;
        const labels = { ...decision.labels, ...sizeBefore(held, decision) };
        const labelled = Object.keys(labels).length === 0 ? {} : { labels };
        return { kind: 'whole', total, validators, ...labelled, ...bodyOf(answer) };
      }
      case 'resume': {
        const rest = await passOverlap(answer, tail);
        return rest && { kind: 'part', offset: decision.offset, total: decision.total, ...rest };
      }
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
