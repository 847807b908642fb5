/** One order for many stations: sent until all of it is decided, and what became of it. */
import type { BulkFirmwareUpdateOrder, BulkResult, Operation } from '@khumbu/client/generated/rest-api';
import { pause } from '@khumbu/client/pause';
import { pauseBefore } from '@khumbu/client/retries';
import type { CliContext } from '../context.js';
import type { Depot } from '../depot/open-depot.js';
import type { Exit } from '../exit-codes.js';
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
const isLate = (error: unknown): boolean => error instanceof Error && error.name === 'TimeoutError';

/** Sends it until every station has decided; what is put off for longer than `KHUMBU_RETRY_S` stays so. */
export async function sendUntilDecided(
  { terminal, signal }: CliContext,
  { settings }: Depot,
  bulk: Bulk,
  idempotencyKey: string,
  send: SendBulk,
): Promise<BulkResult> {
  const began = performance.now();
  let tried = 0;
  for (;;) {
    const after = performance.now() - began;
    let result: BulkResult | undefined;
    try {
      result = await send(bulk, idempotencyKey, signal);
    } catch (error) {
      // Its key makes the next one join the one that is under way.
      if (!isLate(error) || bulk.dryRun || after > DECIDING_MS) throw error;
      terminal.say('the stations are still being asked');
      continue;
    }
    tried += 1;
    const pauseMs = pauseBefore(tried, undefined, Math.random()) ?? 0;
    const isOver = bulk.dryRun || after + pauseMs > settings.KHUMBU_RETRY_S * 1000;
    if (isOver || !result.results.some(isPutOff)) return result;
    await pause(pauseMs, signal);
  }
}

/** How the command ends. `operations`: those that were waited for. Pure. */
export function exitOf({ total, results }: BulkResult, operations: readonly Operation[] | undefined): Exit {
  if (results.some(({ status }) => status >= 500)) return 'unreachable';
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
