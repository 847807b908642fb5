/**
 * Submit an operation over REST: the station must be known, the Idempotency-Key names the request, an audit line records
 * the caller, and the answer is 202 with the operation or a problem with the reason.
 */
import type { Answer } from '@khumbu/intake/decision';
import { anonymousAnswerKey, type Intake } from '@khumbu/intake/intake';
import type { Requester } from '@khumbu/intake/requester';
import { isOfStation, type OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { StationState } from '@khumbu/operations/stations/station-state';
import type { OperationView } from '@khumbu/rest-contract/operations';
import { resolveWithin } from '@khumbu/shared/runtime/abort';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerKeyOf, type HttpAnswer, IDEMPOTENCY_TTL_MS, type Idempotency, type Keyed } from './idempotency.js';
import type { Inventory } from './inventory.js';
import { Problem, pathOf, problemBody } from './problems.js';
import { type GivenOrder, refusal } from './refusals.js';
import { pathOfKind } from './resources.js';

const CONFIRM_RETRY_MS = 200;

/** Codes of errors before a decision: the same request may be sent again. */
const NOT_DECIDED = ['NOT_STORED', 'WORKERS_GONE', 'CERTIFICATE_NOT_JUDGED'] as const;
const WITHOUT_DRIVER = 'The station is in the stations file without a driver: nothing is done with it.';

export interface SubmitDeps {
  readonly intake: Pick<Intake, 'confirm'>;
  readonly inventory: Inventory;
  readonly idempotency: Idempotency;
  /** How long an answer waits for the confirmation of its decision, which is tried again after the answer, too. */
  readonly confirmMs: number;
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export interface Submission {
  /** For the audit line: the name of the request on MQTT. */
  readonly what: string;
  readonly station: string;
  readonly replace?: boolean | undefined;
  readonly title?: string | undefined;
  readonly allowsInstallation?: boolean | undefined;
  /** The bulk order it belongs to. */
  readonly orderId?: string;
  /** Decide, and do nothing. */
  readonly isTrial?: boolean;
  /** What was ordered; absent: the whole body. */
  readonly given?: GivenOrder;
  readonly decide: (requester: Requester) => Promise<Answer>;
}

function locationOf(view: Pick<OperationView, 'kind' | 'stationId' | 'operationId'>): string {
  const { kind, stationId, operationId } = view;
  const path = pathOfKind(kind);
  return path === undefined
    ? `/v1/operations/${encodeURIComponent(operationId)}`
    : `/v1/stations/${encodeURIComponent(stationId)}/${path}/${encodeURIComponent(operationId)}`;
}

/** One line for every request that acts on a station: the caller, the request and its outcome. */
export type Audit = (request: FastifyRequest, what: string, station: string, outcome: object) => void;

export const createAudit =
  (log: Logger): Audit =>
  (request, what, station, outcome) =>
    log.info(
      { audit: true, caller: request.caller?.name, requestId: request.id, request: what, station, ...outcome },
      'asked over REST',
    );

/** Why nothing is done with the station at all. */
function notServed(inventory: Inventory, station: string, { conflictSince }: StationState, reason: string): Problem {
  if (conflictSince !== undefined)
    return new Problem('STATION_IN_CONFLICT', undefined, { reason: 'station_in_conflict' });
  const detail = inventory.isWithoutDriver(station) ? WITHOUT_DRIVER : undefined;
  return new Problem('STATION_NOT_CONFIGURED', detail, { reason });
}

export function keyedOf(request: FastifyRequest): Keyed | undefined {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string') return undefined;
  const what = JSON.stringify([request.method, pathOf(request), request.body ?? null]);
  return { caller: request.caller?.name ?? '', key, request: what };
}

function requesterOf(request: FastifyRequest, submission: Submission, keyed: Keyed | undefined): Requester {
  const { station, replace, title, orderId, allowsInstallation, isTrial } = submission;
  const caller = request.caller?.name;
  return {
    station,
    origin: 'rest',
    answerKey: keyed ? answerKeyOf(keyed) : anonymousAnswerKey(),
    ...(keyed ? { answerTtlMs: IDEMPOTENCY_TTL_MS } : { isFresh: true as const }),
    ...(caller === undefined ? {} : { caller }),
    ...(replace === undefined ? {} : { replace }),
    ...(title === undefined ? {} : { title }),
    ...(orderId === undefined ? {} : { orderId }),
    ...(allowsInstallation ? { allowsInstallation } : {}),
    ...(isTrial ? { isTrial } : {}),
  };
}

const send = (reply: FastifyReply, { status, headers, body }: HttpAnswer): FastifyReply =>
  reply.status(status).headers(headers).serializer(JSON.stringify).send(body);

export type SubmitOperation = (
  request: FastifyRequest,
  reply: FastifyReply,
  submission: Submission,
) => Promise<FastifyReply>;

/** One decision of a request that makes many: `keyed` names it. Rejects with a problem where nothing was decided. */
export type SubmitOne = (
  request: FastifyRequest,
  submission: Submission,
  keyed: Keyed | undefined,
) => Promise<HttpAnswer>;

export function createSubmitOperation(
  { intake, inventory, idempotency, confirmMs, stopping, log }: SubmitDeps,
  auditLine: Audit,
): { readonly submit: SubmitOperation; readonly submitOne: SubmitOne } {
  /** Of a trial there is nothing to tell. */
  const audit = (request: FastifyRequest, { what, station, isTrial }: Submission, outcome: object): void => {
    if (!isTrial) auditLine(request, what, station, outcome);
  };

  /**
   * The decision is stored, so it stands: it is confirmed, however often that has to be tried. If this process ends first,
   * the reconciler ends the operation as withdrawn.
   */
  const confirm = (answer: Answer): Promise<void> =>
    retryUntil(() => intake.confirm(answer), {
      pausesMs: [CONFIRM_RETRY_MS],
      signal: stopping,
      onFailure: (error) => log.debug({ reason: describeError(error) }, 'not begun yet'),
    }).catch(() => undefined);

  /** The operation as it is now; while it cannot be read, as it was accepted: a newer process may have taken it on since. */
  const viewOf = async (operationId: string, known: OperationRecord | undefined): Promise<OperationView> => {
    try {
      return await inventory.view(await inventory.record(operationId));
    } catch (error) {
      const isUnreadable = error instanceof Problem || hasCode(error, 'RECORD_TOO_NEW');
      if (!(isUnreadable && known && isOfStation(known))) throw error;
      return inventory.viewAsKnown(known);
    }
  };

  const decide = async (request: FastifyRequest, submission: Submission, requester: Requester): Promise<Answer> => {
    try {
      return await submission.decide(requester);
    } catch (error) {
      const code = NOT_DECIDED.find((one) => hasCode(error, one));
      const reason = (code ?? 'NOT_STORED').toLowerCase();
      audit(request, submission, { outcome: reason });
      if (code === undefined) throw error;
      throw new Problem(code, describeError(error), code === 'NOT_STORED' ? {} : { reason }, { cause: error });
    }
  };

  const submitOnce = async (
    request: FastifyRequest,
    submission: Submission,
    requester: Requester,
  ): Promise<HttpAnswer> => {
    const { station, isTrial } = submission;
    const state = await inventory.requireStation(station);
    const answer = await decide(request, submission, requester);
    const { operationId, record, reason, detail, reply, followUp } = answer;
    if (operationId === undefined) {
      audit(request, submission, { outcome: 'refused', answer: reply, reason, detail });
      const isNotServed = reason === 'station_not_configured';
      const problem = isNotServed
        ? notServed(inventory, station, state, reason)
        : refusal(answer, submission.given ?? { order: request.body, pointer: '#' });
      const body = problemBody(problem, pathOf(request));
      return { status: body.status, headers: { 'content-type': 'application/problem+json' }, body };
    }
    if (isTrial) return { status: 202, headers: {}, body: {} };
    if (followUp) await resolveWithin(confirm(answer), confirmMs, undefined);
    const body = await viewOf(operationId, record);
    if (body.status === 'Withdrawn') {
      // Another gateway had decided the same request, and revoked it before it was confirmed here.
      audit(request, submission, { outcome: 'not_stored' });
      throw new Problem('NOT_STORED', 'the decision was revoked: nothing of it happens');
    }
    audit(request, submission, { outcome: 'accepted', answer: reply, operationId });
    const headers = { 'content-type': 'application/json; charset=utf-8', location: locationOf(body) };
    return { status: 202, headers, body };
  };

  /** What was accepted is answered, stored under its key or not: a repeated request finds the answer of the intake. */
  const keep = async (keyed: Keyed, answer: HttpAnswer): Promise<HttpAnswer> => {
    try {
      return await idempotency.end(keyed, answer);
    } catch (error) {
      if (answer.status !== 202) throw error;
      return answer;
    }
  };

  const submit: SubmitOperation = async (request, reply, submission) => {
    const keyed = keyedOf(request);
    const requester = requesterOf(request, submission, keyed);
    if (!keyed) return send(reply, await submitOnce(request, submission, requester));
    const before = await idempotency.begin(keyed);
    if (before) return send(reply.header('idempotency-replayed', 'true'), before);
    const answer = await submitOnce(request, submission, requester);
    return send(reply, await keep(keyed, answer));
  };
  return {
    submit,
    submitOne: (request, submission, keyed) =>
      submitOnce(request, submission, requesterOf(request, submission, submission.isTrial ? undefined : keyed)),
  };
}
