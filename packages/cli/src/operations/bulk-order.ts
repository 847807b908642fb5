/** One order for many stations: sent until all of it is decided, and what became of it. */
import type { BulkFirmwareUpdateOrder, BulkResult, Operation } from '@khumbu/client/generated/rest-api';
import { pause } from '@khumbu/client/pause';
import { ProblemError } from '@khumbu/client/problem-error';
import { pauseBefore } from '@khumbu/client/retries';
import { type CliContext, toldIn } from '../context.js';
import type { Depot } from '../depot/open-depot.js';
import type { Exit } from '../exit-codes.js';
import type { Told } from '../failure.js';
import { outcomeText } from './await-operation.js';

/** The longest a depot may take for all stations of one order, over as many requests as that needs. */
const DECIDING_MS = 600_000;

export type Target = BulkFirmwareUpdateOrder['target'];
type Result = BulkResult['results'][number];

/** What surrounds the order of each station. */
export interface Bulk {
  readonly target: Target;
  readonly title?: string;
  readonly dryRun?: boolean;
}
/** Sends it once. Sent again with the same key nothing is done twice. */
export type SendBulk = (bulk: Bulk, idempotencyKey: string, signal: AbortSignal) => Promise<BulkResult>;

/** The depot had no time, or its store was away: the same order, sent again, is decided there. */
const isPutOff = ({ status }: Result): boolean => status === 503;
/** It has neither accepted nor refused. */
export const isUndecided = ({ status }: Result): boolean => status >= 500;
/** After this answer nothing of the order was done; after none, or one of a gateway that has failed, nobody knows. */
export const isRefusal = (error: unknown): boolean => error instanceof ProblemError && error.status < 500;
const isLate = (error: unknown): boolean => error instanceof Error && error.name === 'TimeoutError';

/** What is known of it. */
export interface Sent {
  readonly result: BulkResult;
  /** Why it could not be sent again: the result is the one before, in which stations are put off. */
  readonly failure?: Told;
}

/**
 * Sends it until every station has decided; what is put off for longer than `KHUMBU_RETRY_S` stays so. Rejects where it was
 * never answered: what came of it is not known then.
 */
export async function sendUntilDecided(
  context: CliContext,
  { settings }: Depot,
  bulk: Bulk,
  idempotencyKey: string,
  send: SendBulk,
): Promise<Sent> {
  const { terminal, signal } = context;
  const began = performance.now();
  let tried = 0;
  let result: BulkResult | undefined;
  for (;;) {
    const after = performance.now() - began;
    try {
      result = await send(bulk, idempotencyKey, signal);
      tried += 1;
      const pauseMs = pauseBefore(tried, undefined, Math.random()) ?? 0;
      const isOver = bulk.dryRun || after + pauseMs > settings.KHUMBU_RETRY_S * 1000;
      if (isOver || !result.results.some(isPutOff)) return { result };
      await pause(pauseMs, signal);
    } catch (error) {
      // Its key makes the next one join the one that is under way.
      if (isLate(error) && !bulk.dryRun && after <= DECIDING_MS) {
        terminal.say('the stations are still being asked');
        continue;
      }
      const failure = toldIn(context, error);
      if (!result || !failure) throw error;
      return { result, failure };
    }
  }
}

/** How the command ends. `operations`: those that were waited for. Pure. */
export function exitOf({ total, results }: BulkResult, operations: readonly Operation[] | undefined): Exit {
  if (results.some(isUndecided)) return 'unreachable';
  if (total === 0 || results.some(({ status }) => status >= 400)) return 'refused';
  if (!operations) return 'done';
  const good = new Set(operations.flatMap(({ operationId, outcome }) => (outcome?.ok === true ? [operationId] : [])));
  const isGood = ({ operationId }: Result): boolean => operationId !== undefined && good.has(operationId);
  return results.every(isGood) ? 'done' : 'failed';
}

export const RESULT_HEAD = ['STATION', 'OPERATION', 'RESULT'];

/** Rows of a table. Pure. */
export function rowsOf({ dryRun, results }: BulkResult, operations: readonly Operation[] | undefined): string[][] {
  const byId = new Map(operations?.map((operation) => [operation.operationId, operation]));
  return results.map(({ stationId, operationId = '', problem }) => {
    const ended = byId.get(operationId);
    if (problem) return [stationId, '', `${problem.code}: ${problem.detail ?? problem.title}`];
    return [stationId, operationId, ended ? outcomeText(ended) : dryRun ? 'would be accepted' : 'accepted'];
  });
}
