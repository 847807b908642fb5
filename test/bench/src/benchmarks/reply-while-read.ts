/** How long a station waits for its answer while one key reads as much over REST as it may. */
import { createStore } from '@khumbu/operations/kinds/store';
import { acceptedOperation, doneOperation } from '../load/operations.js';
import type { ReaderOptions } from '../load/reader.js';
import { startRemote } from '../load/remote.js';
import type { RateOptions } from '../load/requester.js';
import type { Benchmark } from '../row.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = 50;
const PER_S = 100;
/** What one key may send by default. */
const RATE_LIMIT_PER_MINUTE = '600';
const READERS = 200;
const PATHS = ['/v1/operations?limit=500', '/v1/operations?status=Failed', '/v1/stations?limit=500'];

export const replyWhileRead: Benchmark<'reply-p99-while-read'> = {
  rows: [
    {
      name: 'reply-p99-while-read',
      unit: 'ms',
      baselineName: 'the same, while nobody reads',
      wanted: 'ratio <= 2.0',
      meets: ({ ratio }) => ratio !== null && ratio <= 2,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const env = { RATE_LIMIT_PER_MINUTE };
    const { depot, ours } = await setStage(context, stationNames(STATIONS), { get_boot_reason: 'PowerUp' }, { env });
    const store = createStore(depot.redis, 'khumbu');
    const records = isShort ? 100 : 5000;
    for (let n = 0; n < records; n += 50) {
      const transaction = store.transaction();
      for (let m = n; m < n + 50; m++) transaction.put(doneOperation(acceptedOperation(`read-${m % 500}`, m)).record);
      await store.commit(transaction);
    }
    const load: RateOptions = {
      perS: PER_S,
      seconds: isShort ? 1 : 10,
      questions: [{ leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate: isShort }],
    };
    await ours.call('atRate', load);
    const reader = await startRemote(context, 'reader');
    const options: ReaderOptions = {
      url: depot.httpUrls[0] ?? '',
      key: depot.apiKey,
      connections: isShort ? 10 : READERS,
      paths: PATHS,
    };
    let statuses: Record<string, number> = {};
    const measured = await interleaved(
      isShort ? 1 : 7,
      async () => {
        await reader.call('start', options);
        const took = await ours.call<number[]>('atRate', load);
        statuses = await reader.call<Record<string, number>>('stop');
        return quantile(took, 0.99);
      },
      async () => quantile(await ours.call<number[]>('atRate', load), 0.99),
    );
    return { 'reply-p99-while-read': { ...measured, notes: [`answers to the readers: ${JSON.stringify(statuses)}`] } };
  },
};
