/** One order for many stations: each is decided as an order for it alone would be, and no other one waits for it. */
import { createHash, randomBytes } from 'node:crypto';
import { type BulkResult, type BulkTarget, MOST_STATIONS } from '@khumbu/rest-contract/bulk';
import { PROBLEMS } from '@khumbu/rest-contract/problem-codes';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readFilter } from './finding/filters.js';
import { stationMatcher } from './finding/station-list.js';
import type { Idempotency, Keyed } from './idempotency.js';
import type { Inventory } from './inventory.js';
import type { SubmissionFor } from './orders.js';
import { Problem, pathOf, problemBody } from './problems.js';
import { keyedOf, type SubmitOne } from './submit-operation.js';

/** Decisions of one order that are under way at once; orders for single stations come in between. */
const AT_ONCE = 4;

export interface BulkDeps {
  readonly inventory: Inventory;
  readonly idempotency: Idempotency;
  readonly submitOne: SubmitOne;
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
async function stationsOf({ stations, filter: text }: BulkTarget, { inventory, now }: BulkDeps): Promise<string[]> {
  const filter = readFilter(text, 'stations', '#/target/filter');
  const named = stations && new Set(stations);
  if (!filter) return [...(named ?? [])].sort();
  const fits = stationMatcher(filter, now());
  const chosen = (await inventory.stationFacts()).filter((one) => (named?.has(one.station) ?? true) && fits(one));
  if (chosen.length > MOST_STATIONS) {
    const detail = `the filter fits ${chosen.length} stations; ${MOST_STATIONS} at most`;
    throw new Problem('BODY_INVALID', detail, { errors: [{ detail, pointer: '#/target/filter' }] });
  }
  return chosen.map(({ station }) => station);
}

export type SubmitBulk = (
  request: FastifyRequest,
  reply: FastifyReply,
  order: BulkOrder,
  submissionFor: SubmissionFor,
) => Promise<FastifyReply>;

export function createSubmitBulk(deps: BulkDeps): SubmitBulk {
  const { idempotency, submitOne } = deps;

  const decideOne = async (
    request: FastifyRequest,
    submission: ReturnType<SubmissionFor>,
    keyed: Keyed | undefined,
  ): Promise<Result> => {
    const { station: stationId } = submission;
    try {
      const { status, body } = await submitOne(request, submission, keyed);
      if (status !== 202) return { stationId, status, problem: body as Result['problem'] & object };
      const { operationId } = body as { readonly operationId?: string };
      return { stationId, status, ...(operationId === undefined ? {} : { operationId }) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const problem = problemBody(error, pathOf(request)) as Result['problem'] & object;
      return { stationId, status: PROBLEMS[error.code].status, problem };
    }
  };

  return async (request, reply, { target, title, dryRun = false }, submissionFor) => {
    const names = await stationsOf(target, deps);
    const given = dryRun ? undefined : keyedOf(request);
    const before = given && (await idempotency.begin(given));
    if (before) return reply.header('idempotency-replayed', 'true').status(before.status).send(before.body);
    const orderId = orderIdOf(given);
    // Not that of an order for this station alone, should somebody use one key for both.
    const keyed = given && { ...given, key: `bulk ${given.key}` };
    const results: Result[] = [];
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE).map((station) => {
        const single = submissionFor(station);
        return decideOne(request, { ...single, title: single.title ?? title, orderId, isTrial: dryRun }, keyed);
      });
      results.push(...(await Promise.all(some)));
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
    // What was not decided is decided when the same request comes again: its answer is not final.
    const isFinal = results.every(({ status }) => status !== 503);
    if (given && isFinal) await idempotency.end(given, { status: 200, headers: {}, body });
    return reply.status(200).send(body);
  };
}
