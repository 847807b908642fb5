/** How long a station waits for its answer while many browsers follow the events, and while none does. */
import { stationEvent } from '@khumbu/operations/events/events';
import { createStore } from '@khumbu/operations/kinds/store';
import { startRemote } from '../load/remote.js';
import type { RateOptions } from '../load/requester.js';
import type { WatchersOptions } from '../load/watchers.js';
import type { Benchmark } from '../row.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = 50;
const PER_S = 100;
const WATCHERS = { full: 200, short: 5 } as const;
/** What happens meanwhile, whether somebody watches or not: a depot in which a wave of updates goes on. */
const EVENTS_PER_S = 20;

export const eventStream: Benchmark<'event-stream-200'> = {
  rows: [
    {
      name: 'event-stream-200',
      unit: 'ms',
      baselineName: 'the same, while nobody watches',
      wanted: 'ratio <= 2.0',
      meets: ({ ratio }) => ratio !== null && ratio <= 2,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const count = WATCHERS[context.effort];
    const env = { MAX_EVENT_STREAMS_PER_CALLER: String(count), RATE_LIMIT_PER_MINUTE: '1000000' };
    const names = stationNames(STATIONS);
    const { depot, ours } = await setStage(context, names, { get_boot_reason: 'PowerUp' }, { env });
    const store = createStore(depot.redis, 'khumbu');
    const load: RateOptions = {
      perS: PER_S,
      seconds: isShort ? 1 : 10,
      questions: [{ leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate: isShort }],
    };
    let happened = 0;
    const happen = (): Promise<unknown> => {
      happened += 1;
      const event = stationEvent(names[happened % STATIONS] ?? '', 'restarted', Date.now(), {
        bootEpoch: happened,
        bootReason: 'PowerUp',
      });
      return store.commit(store.transaction().emitEvent(event));
    };
    /** p99 of the replies while events go on. */
    const p99 = async (): Promise<number> => {
      const under: Promise<unknown>[] = [];
      const timer = setInterval(() => under.push(happen()), 1000 / EVENTS_PER_S);
      try {
        return quantile(await ours.call<number[]>('atRate', load), 0.99);
      } finally {
        clearInterval(timer);
        await Promise.all(under);
      }
    };
    await p99();
    const watchers = await startRemote(context, 'watchers');
    const options: WatchersOptions = { url: depot.httpUrls[0] ?? '', key: depot.apiKey, count };
    let least = Number.POSITIVE_INFINITY;
    const measured = await interleaved(
      isShort ? 1 : 7,
      async () => {
        await watchers.call('open', options);
        const figure = await p99();
        least = Math.min(least, ...(await watchers.call<number[]>('close')));
        return figure;
      },
      p99,
    );
    if (least === 0) throw new Error('a browser was told of nothing');
    const notes = [`${count} streams, ${EVENTS_PER_S} events a second; each was told of ${least} at least in a round`];
    return { 'event-stream-200': { ...measured, notes } };
  },
};
