/** One order for many stations: each is decided as an order for it alone would be, and no other one waits for it. */
import { createHash, randomBytes } from 'node:crypto';
import type { Filter } from '@khumbu/filter/parse-filter';
import { type BulkResult, type BulkTarget, MOST_STATIONS } from '@khumbu/rest-contract/bulk';
import { PROBLEMS } from '@khumbu/rest-contract/problem-codes';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readFilter } from './finding/filters.js';
import { stationMatcher } from './finding/station-list.js';
import type { HttpAnswer, Idempotency, Keyed } from './idempotency.js';
import type { Inventory } from './inventory.js';
import type { SubmissionFor } from './orders.js';
import { Problem, pathOf, problemBody } from './problems.js';
import type { RequestQueue } from './request-queue.js';
import { keyedOf, type Submission, type SubmitOne } from './submit-operation.js';

/** Decisions of one order that are under way at once. They are one entry of the queue, and orders of others come in between. */
const AT_ONCE = 4;

export interface BulkDeps {
  readonly inventory: Inventory;
  readonly idempotency: Idempotency;
  readonly submitOne: SubmitOne;
  /** That of all orders; each group of stations of a bulk order is one entry. */
  readonly queue: Pick<RequestQueue, 'run'>;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface BulkOrder {
  readonly target: BulkTarget;
  readonly title?: string;
  readonly dryRun?: boolean;
}

type Result = BulkResult['results'][number];

/** The same request has the same id, so that its second half joins its first one. */
const orderIdOf = (keyed: Keyed | undefined): string =>
  `bulk-${
    keyed
      ? createHash('sha256')
          .update(JSON.stringify([keyed.caller, keyed.key]))
          .digest('hex')
          .slice(0, 16)
      : randomBytes(8).toString('hex')
  }`;

/** Names of the stations, in order. Rejects with `BODY_INVALID`. */
async function chooseStations(
  filter: Filter,
  { stations }: BulkTarget,
  { inventory, now }: BulkDeps,
): Promise<string[]> {
  const named = stations && new Set(stations);
  const fits = stationMatcher(filter, now());
  const chosen = (await inventory.stationFacts()).filter((one) => (named?.has(one.station) ?? true) && fits(one));
  if (chosen.length > MOST_STATIONS) {
    const detail = `the filter fits ${chosen.length} stations; ${MOST_STATIONS} at most`;
    throw new Problem('BODY_INVALID', detail, { errors: [{ detail, pointer: '#/target/filter' }] });
  }
  return chosen.map(({ station }) => station);
}

/** The answer that was given before, or the stations to decide for. Rejects with `BODY_INVALID`, `IDEMPOTENCY_KEY_REUSED`. */
async function beginOrder(
  target: BulkTarget,
  keyed: Keyed | undefined,
  deps: BulkDeps,
): Promise<{ readonly before: HttpAnswer } | { readonly names: readonly string[] }> {
  const { idempotency } = deps;
  const filter = readFilter(target.filter, 'stations', '#/target/filter');
  const before = keyed && (await idempotency.begin(keyed));
  if (before) return { before };
  if (!filter) return { names: [...new Set(target.stations)].sort() };
  const choose = (): Promise<string[]> => chooseStations(filter, target, deps);
  return { names: await (keyed ? idempotency.stations(keyed, choose) : choose()) };
}

/** What was not decided is decided when the same request comes again: an answer that has some is not final. */
const isDecided = ({ status }: Result): boolean => status !== 500 && status !== 503;

export type SubmitBulk = (
  request: FastifyRequest,
  reply: FastifyReply,
  order: BulkOrder,
  /** Of one station; part of the first entry. */
  prepare: () => Promise<SubmissionFor>,
) => Promise<FastifyReply>;

export function createSubmitBulk(deps: BulkDeps): SubmitBulk {
  const { idempotency, submitOne, queue, log } = deps;

  const failed = (request: FastifyRequest, stationId: string, error: unknown): Result => {
    const isExpected = error instanceof Problem;
    if (!isExpected) log.error({ err: error, requestId: request.id, station: stationId }, 'request failed');
    const problem = isExpected ? error : new Problem('INTERNAL', undefined, {}, { cause: error });
    const body = problemBody(problem, pathOf(request)) as Result['problem'] & object;
    return { stationId, status: PROBLEMS[problem.code].status, problem: body };
  };

  const decideOne = async (
    request: FastifyRequest,
    submission: Submission,
    keyed: Keyed | undefined,
  ): Promise<Result> => {
    const { station: stationId } = submission;
    try {
      const { status, body } = await submitOne(request, submission, keyed);
      if (status !== 202) return { stationId, status, problem: body as Result['problem'] & object };
      const { operationId } = body as { readonly operationId?: string };
      return { stationId, status, ...(operationId === undefined ? {} : { operationId }) };
    } catch (error) {
      return failed(request, stationId, error);
    }
  };

  return async (request, reply, { target, title, dryRun = false }, prepare) => {
    const caller = request.caller?.name ?? '';
    const given = dryRun ? undefined : keyedOf(request);
    const begun = await queue.run(
      caller,
      () => reply.raw.destroyed,
      async () => ({ submissionFor: await prepare(), ...(await beginOrder(target, given, deps)) }),
    );
    if ('before' in begun) {
      const { status, body } = begun.before;
      return reply.header('idempotency-replayed', 'true').status(status).send(body);
    }
    const { submissionFor, names } = begun;
    const orderId = orderIdOf(given);
    // Not that of an order for this station alone, should somebody use one key for both.
    const keyed = given && { ...given, key: `bulk ${given.key}` };
    const decideSome = (some: readonly string[]): Promise<Result[]> =>
      Promise.all(
        some.map((station) => {
          const single = submissionFor(station);
          return decideOne(request, { ...single, title: single.title ?? title, orderId, isTrial: dryRun }, keyed);
        }),
      );
    const results: Result[] = [];
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE);
      try {
        // What has begun goes on, whether its caller is still there or not.
        results.push(
          ...(await queue.run(
            caller,
            () => false,
            () => decideSome(some),
          )),
        );
      } catch (error) {
        // Too busy now, and not only for these: the same request goes on from here.
        results.push(...names.slice(at).map((station) => failed(request, station, error)));
        break;
      }
    }
    const accepted = results.filter(({ status }) => status === 202).length;
    const body: BulkResult = {
      orderId,
      ...(title === undefined ? {} : { title }),
      dryRun,
      total: results.length,
      accepted,
      refused: results.length - accepted,
      results,
    };
    if (given && results.every(isDecided)) await idempotency.end(given, { status: 200, headers: {}, body });
    return reply.status(200).send(body);
  };
}
