/** All operations of a bulk order, watched until the last one has ended. */
import { answered } from '@khumbu/client/client';
import type { Operation, OperationKind } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';
import type { CliContext } from '../context.js';
import type { Depot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { outcomeText, type WaitFlags } from './await-operation.js';

export interface WatchedOrder {
  readonly orderId: string;
  readonly kind: OperationKind;
  /** Those that were accepted. */
  readonly operationIds: readonly string[];
}
type Ended = Pick<Operation, 'operationId' | 'stationId' | 'status' | 'outcome'>;

/** Operations that are read at once. */
const AT_ONCE = 4;

async function listOf({ client }: Depot, orderId: string, signal: AbortSignal): Promise<Operation[]> {
  const operations: Operation[] = [];
  let cursor: string | undefined;
  do {
    const query = {
      filter: `orderId = ${orderId}`,
      sort: 'createdAt',
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    } as const;
    const page = await answered(client.GET('/v1/operations', { params: { query }, signal }));
    operations.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return operations;
}

/** `undefined`: it is not kept any more. */
async function keptOf({ client }: Depot, operationId: string, signal: AbortSignal): Promise<Operation | undefined> {
  try {
    return await answered(client.GET('/v1/operations/{operationId}', { params: { path: { operationId } }, signal }));
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'OPERATION_UNKNOWN') return undefined;
    throw error;
  }
}

/**
 * As they stand now, without those that are not kept any more. A station where such a reset is open accepts the order by
 * that one, which is of no order or of another: the list of this order does not have it.
 */
async function operationsOf(
  depot: Depot,
  { orderId, operationIds }: Pick<WatchedOrder, 'orderId' | 'operationIds'>,
  signal: AbortSignal,
): Promise<Operation[]> {
  const operations = await listOf(depot, orderId, signal);
  const listed = new Set(operations.map(({ operationId }) => operationId));
  const others = operationIds.filter((id) => !listed.has(id));
  for (let at = 0; at < others.length; at += AT_ONCE) {
    const some = others.slice(at, at + AT_ONCE).map((id) => keptOf(depot, id, signal));
    for (const operation of await Promise.all(some)) if (operation) operations.push(operation);
  }
  return operations;
}

/**
 * Resolves once all have ended. They are read anew whenever the stream of events opens, so nothing is missed between the
 * two, nor over a restart of gateways; what is not kept any more has ended. By station. `onEnded` is told of each once.
 */
async function watchOrder(
  depot: Depot,
  { orderId, kind, operationIds }: WatchedOrder,
  outer: AbortSignal,
  onEnded: (ended: Ended, left: number) => void,
): Promise<readonly Operation[]> {
  const over = new AbortController();
  const signal = AbortSignal.any([outer, over.signal]);
  const left = new Set(operationIds);
  const end = (ended: Ended): void => {
    if (left.delete(ended.operationId)) onEnded(ended, left.size);
  };
  try {
    if (left.size > 0)
      await new Promise<void>((resolve, reject) => {
        const look = async (): Promise<void> => {
          const found = await operationsOf(depot, { orderId, operationIds: [...left] }, signal);
          for (const operation of found) if (operation.ended) end(operation);
          const kept = new Set(found.map(({ operationId }) => operationId));
          for (const id of left) if (!kept.has(id)) left.delete(id);
          if (left.size === 0) resolve();
        };
        const follow = async (): Promise<void> => {
          const events = depot.client.follow({
            kind: [kind],
            type: ['operation'],
            signal,
            onState: (state) => void (state === 'open' && look().catch(reject)),
          });
          for await (const { event } of events) {
            if (event.type === 'gap') await look();
            else if (event.type === 'operation' && event.ended) end(event);
            if (left.size === 0) resolve();
          }
          reject(signal.reason);
        };
        follow().catch(reject);
      });
    const found = await operationsOf(depot, { orderId, operationIds }, signal);
    return found.toSorted((one, other) => (one.stationId < other.stationId ? -1 : 1));
  } finally {
    over.abort();
  }
}

/** With what has ended on lines of its own, and how many are left on one that moves. Rejects as `awaitOperation`. */
export async function awaitOrder(
  { terminal, signal }: CliContext,
  depot: Depot,
  order: WatchedOrder,
  { timeout }: WaitFlags,
): Promise<readonly Operation[]> {
  const limit = timeout === undefined ? undefined : AbortSignal.timeout(timeout * 1000);
  const all = order.operationIds.length;
  const showLeft = (left: number): void => terminal.live(left === 0 ? '' : `${all - left} of ${all} have ended`);
  showLeft(all);
  try {
    return await watchOrder(depot, order, limit ? AbortSignal.any([signal, limit]) : signal, (ended, left) => {
      terminal.say(`${ended.stationId}: ${outcomeText(ended)}`);
      showLeft(left);
    });
  } catch (error) {
    if (limit?.aborted && !signal.aborted)
      throw new Failure('timeout', 'TIMEOUT', `${order.orderId} has not ended within ${timeout} s, and goes on`);
    throw error;
  } finally {
    terminal.live('');
  }
}
