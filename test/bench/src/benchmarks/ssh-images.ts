/** An image to twenty stations at once, and what the stations that ask the gateway notice of it. */
import { describeError } from '@khumbu/shared/runtime/errors';
import type { RateOptions } from '../load/requester.js';
import { forgetPeak, MB, peakRssBytes, rssBytes } from '../process-figures.js';
import type { Benchmark, Measured } from '../row.js';
import { makeSshImage, startSshStations } from '../ssh-stations.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = { full: 20, short: 3 } as const;
const SIZE = { full: 50_000_000, short: 2_000_000 } as const;
const PAIRS = { full: 3, short: 1 } as const;
const PER_S = 100;
const SECONDS = { full: 5, short: 1 } as const;
/** As `nice` counts. */
const LOWEST_PRIORITY = 19;

export const sshImages: Benchmark<'ssh-images-20' | 'ssh-images-20-rss'> = {
  rows: [
    {
      name: 'ssh-images-20',
      unit: 's',
      baselineName: 'scp and sha256sum, one station after the other',
      wanted: 'ratio <= 1.25',
      meets: ({ ratio }) => ratio !== null && ratio <= 1.25,
    },
    {
      name: 'ssh-images-20-rss',
      unit: 'MB',
      baselineName: '-',
      wanted: 'ours < 60',
      meets: ({ ours }) => ours !== null && ours < 60,
    },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const stations = STATIONS[effort];
    const image = makeSshImage(dir, SIZE[effort]);
    const { worker, scp } = await startSshStations(context, stations);
    await worker.call('observe', stations);
    const idle = rssBytes(worker.pid);
    const growth: number[] = [];
    const sendAll = async (round: number): Promise<number> => {
      forgetPeak(worker.pid);
      const seconds = await worker.call<number>('install', { operationId: `op-${round}`, image, stations });
      growth.push((peakRssBytes(worker.pid) - idle) / MB);
      return seconds;
    };
    const sent = await interleaved(PAIRS[effort], sendAll, () => scp(image, stations));
    return {
      'ssh-images-20': { ...sent, notes: [`${stations} stations, ${SIZE[effort] / MB} MB each`] },
      'ssh-images-20-rss': { ours: growth },
    };
  },
};

const BESIDE_IT = 'the same, while nothing is sent';

export const sshImagesReplies: Benchmark<'ssh-images-20-reply-p99' | 'ssh-images-20-reply-p99-shared'> = {
  rows: [
    {
      name: 'ssh-images-20-reply-p99',
      unit: 'ms',
      baselineName: BESIDE_IT,
      wanted: 'ratio <= 2.0',
      meets: ({ ratio }) => ratio !== null && ratio <= 2,
    },
    {
      name: 'ssh-images-20-reply-p99-shared',
      unit: 'ms',
      baselineName: BESIDE_IT,
      wanted: 'reported',
      meets: () => true,
    },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const stations = STATIONS[effort];
    const image = makeSshImage(dir, SIZE[effort]);
    const { ours } = await setStage(context, stationNames(10), { get_boot_reason: 'PowerUp' });
    const load: RateOptions = {
      perS: PER_S,
      seconds: SECONDS[effort],
      questions: [{ leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate: effort === 'short' }],
    };
    const p99 = async (): Promise<number> => quantile(await ours.call<number[]>('atRate', load), 0.99);
    /** `niceness`: of all that runs at the stations. */
    const replies = async (niceness?: number): Promise<Measured> => {
      const { worker } = await startSshStations(context, stations, niceness);
      await worker.call('observe', stations);
      await p99();
      const whileSent = async (round: number): Promise<number> => {
        let isOver = false;
        const sending = worker.call<number>('install', { operationId: `op-${round}`, image, stations });
        const over = sending.then((seconds) => {
          isOver = true;
          context.say(`brought in ${seconds.toFixed(1)} s`);
        });
        const figure = await p99();
        if (isOver && effort === 'full') throw new Error('the images were there before the questions were over');
        await over;
        return figure;
      };
      return interleaved(PAIRS[effort], whileSent, p99);
    };
    const own = await replies(LOWEST_PRIORITY);
    // Here a question may be answered late enough to void the figure, which is no reason to void the other one.
    const shared = await replies().catch((error: unknown) => context.say(describeError(error)));
    return {
      'ssh-images-20-reply-p99': {
        ...own,
        notes: ['the stations have the lowest priority: they have processors of their own'],
      },
      ...(shared && {
        'ssh-images-20-reply-p99-shared': {
          ...shared,
          notes: ['the stations take turns with the depot on its processors'],
        },
      }),
    };
  },
};
