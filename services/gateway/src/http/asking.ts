/**
 * What all requests to the intake have in common over REST: the station must be known, the key names the request,
 * an audit line says who asked what, and the answer is 202 with the operation or a problem that says why not.
 */
import { anonymousAnswerKey, type Intake } from '@khumbu/intake/intake';
import type { Answer, Requester } from '@khumbu/intake/requester';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { StationState } from '@khumbu/operations/stations/station-state';
import { resolveWithin } from '@khumbu/shared/runtime/abort';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerKeyOf, type HttpAnswer, IDEMPOTENCY_TTL_MS, type Idempotency, type Keyed } from './idempotency.js';
import type { Inventory } from './inventory.js';
import { Problem, pathOf, problemBody } from './problems.js';
import { refusal } from './refusals.js';
import type { OperationView } from './schemas.js';
import { isVisible } from './views.js';

/** How long an answer waits for its work to be begun; it is begun all the same. */
const CONFIRM_MS = 1000;
const CONFIRM_RETRY_MS = 200;

/** Why nothing was decided: the same request may be sent again. */
const NOTHING_KEPT = ['NOT_STORED', 'WORKERS_GONE', 'CERTIFICATE_NOT_JUDGED'] as const;
const WITHOUT_DRIVER = 'The station is in the stations file without a driver: nothing is done with it.';

export interface AskingDeps {
  readonly intake: Pick<Intake, 'confirm'>;
  readonly inventory: Inventory;
  readonly idempotency: Idempotency;
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export interface Ask {
  /** For the audit line; as on the bus. */
  readonly what: string;
  readonly station: string;
  readonly replace?: boolean | undefined;
  readonly ask: (requester: Requester) => Promise<Answer>;
}

const PATHS: Partial<Record<OperationView['kind'], string>> = {
  firmware_update: 'firmware-updates',
  log_upload: 'log-uploads',
};

export function locationOf({
  kind,
  stationId,
  operationId,
}: Pick<OperationView, 'kind' | 'stationId' | 'operationId'>): string {
  const path = PATHS[kind];
  return path === undefined
    ? `/v1/operations/${encodeURIComponent(operationId)}`
    : `/v1/stations/${encodeURIComponent(stationId)}/${path}/${encodeURIComponent(operationId)}`;
}

export type Asking = ReturnType<typeof createAsking>;

export function createAsking({ intake, inventory, idempotency, stopping, log }: AskingDeps) {
  /** Who did what to which station, and what came of it. One line for every request that reached the intake. */
  const audit = (request: FastifyRequest, what: string, station: string, outcome: object): void => {
    log.info(
      { audit: true, caller: request.caller?.name, requestId: request.id, request: what, station, ...outcome },
      'asked over REST',
    );
  };

  /**
   * The decision is stored, so it stands: its work is begun, however often that has to be tried. Should this process
   * die in between, the operation ends as withdrawn, for all to see.
   */
  const begin = (answer: Answer): Promise<void> =>
    retryUntil(() => intake.confirm(answer), {
      pausesMs: [CONFIRM_RETRY_MS],
      signal: stopping,
      onFailure: (error) => log.debug({ reason: describeError(error) }, 'not begun yet'),
    }).catch(() => undefined);

  /** The operation as it is now; where the store cannot say, as it was when it was accepted: that stands. */
  const viewOf = async (operationId: string, known: OperationRecord | undefined): Promise<OperationView> => {
    try {
      return await inventory.view(await inventory.record(operationId));
    } catch (error) {
      if (!(error instanceof Problem && known && isVisible(known))) throw error;
      return inventory.viewAsKnown(known);
    }
  };

  /** Why nothing is done with the station at all. */
  const notServed = (station: string, { conflictSince }: StationState, reason: string): Problem => {
    if (conflictSince !== undefined)
      return new Problem('STATION_IN_CONFLICT', undefined, { reason: 'station_in_conflict' });
    return inventory.isWithoutDriver(station)
      ? new Problem('STATION_NOT_CONFIGURED', WITHOUT_DRIVER, { reason })
      : new Problem('STATION_NOT_CONFIGURED', undefined, { reason });
  };

  const askOnce = async (
    request: FastifyRequest,
    { what, station, ask }: Ask,
    requester: Requester,
  ): Promise<HttpAnswer> => {
    const state = await inventory.requireStation(station);
    let answer: Answer;
    try {
      answer = await ask(requester);
    } catch (error) {
      const code = NOTHING_KEPT.find((one) => hasCode(error, one));
      const reason = (code ?? 'NOT_STORED').toLowerCase();
      audit(request, what, station, { outcome: reason });
      if (code !== undefined)
        throw new Problem(code, describeError(error), code === 'NOT_STORED' ? {} : { reason }, { cause: error });
      throw error;
    }
    const { operationId, record, reason, detail, reply, followUp } = answer;
    if (operationId === undefined) {
      audit(request, what, station, { outcome: 'refused', answer: reply, reason, detail });
      const isRefused = reason === 'station_not_configured';
      const problem = isRefused ? notServed(station, state, reason) : refusal(reply, reason, detail);
      const body = problemBody(problem, pathOf(request));
      return { status: body.status, headers: { 'content-type': 'application/problem+json' }, body };
    }
    if (followUp) await resolveWithin(begin(answer), CONFIRM_MS, undefined);
    audit(request, what, station, { outcome: 'accepted', answer: reply, operationId });
    const body = await viewOf(operationId, record);
    const headers = { 'content-type': 'application/json; charset=utf-8', location: locationOf(body) };
    return { status: 202, headers, body };
  };

  const keyedOf = (request: FastifyRequest): Keyed | undefined => {
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string') return undefined;
    const what = JSON.stringify([request.method, pathOf(request), request.body ?? null]);
    return { caller: request.caller?.name ?? '', key, request: what };
  };

  /** What was accepted is said, kept or not: asked again, the intake finds its own answer. */
  const keep = async (keyed: Keyed, answer: HttpAnswer): Promise<HttpAnswer> => {
    try {
      return await idempotency.end(keyed, answer);
    } catch (error) {
      if (answer.status !== 202) throw error;
      return answer;
    }
  };

  const send = (reply: FastifyReply, { status, headers, body }: HttpAnswer): FastifyReply =>
    reply.status(status).headers(headers).serializer(JSON.stringify).send(body);

  return {
    audit,
    /** Ask the intake for something that becomes an operation, and answer. */
    async ask(request: FastifyRequest, reply: FastifyReply, what: Ask): Promise<FastifyReply> {
      const keyed = keyedOf(request);
      const caller = request.caller?.name;
      const requester: Requester = {
        station: what.station,
        origin: 'rest',
        answerKey: keyed ? answerKeyOf(keyed) : anonymousAnswerKey(),
        ...(keyed ? { answerTtlMs: IDEMPOTENCY_TTL_MS } : { isFresh: true as const }),
        ...(caller === undefined ? {} : { caller }),
        ...(what.replace === undefined ? {} : { replace: what.replace }),
      };
      if (!keyed) return send(reply, await askOnce(request, what, requester));
      const before = await idempotency.begin(keyed);
      if (before) return send(reply.header('idempotency-replayed', 'true'), before);
      const answer = await askOnce(request, what, requester);
      return send(reply, await keep(keyed, answer));
    },
  };
}
