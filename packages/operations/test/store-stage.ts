/** A store on a Redis of its own. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { outboxEntry } from '@khumbu/operations/outbox/entry';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';

export const NOW = 1_800_000_000_000;
export const AT = momentOf(NOW);
export const { server, redis } = await openRedis(t, t.testdir({}));
let count = 0;
export const newPrefix = (): string => `t${++count}`;
export const fresh = (): { store: Store; prefix: string } => {
  const prefix = newPrefix();
  return { store: createStore(redis, prefix), prefix };
};
export const entry = (text: string) => outboxEntry('log_status', 'op', text, AT);
export const texts = async (store: Store, station = 'cp1'): Promise<unknown[]> =>
  (await store.outboxEntries(station)).map(({ payload }) => payload);
export const stored = async <R extends OperationRecord>(store: Store, record: R): Promise<R> => {
  if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
  return (await store.load(record.id)) as R;
};
