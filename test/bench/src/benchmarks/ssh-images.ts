/** An image to twenty stations at once, and what the stations that ask the gateway notice of it. */
import type { RateOptions } from '../load/requester.js';
import { forgetPeak, MB, peakRssBytes, rssBytes } from '../process-figures.js';
import type { Benchmark } from '../row.js';
import { makeSshImage, startSshStations } from '../ssh-stations.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = { full: 20, short: 3 } as const;
const SIZE = { full: 50_000_000, short: 2_000_000 } as const;
const PAIRS = { full: 3, short: 1 } as const;
const PER_S = 100;

export const sshImages: Benchmark<'ssh-images-20' | 'ssh-images-20-rss' | 'ssh-images-20-reply-p99'> = {
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
    {
      name: 'ssh-images-20-reply-p99',
      unit: 'ms',
      baselineName: 'the same, while nothing is sent',
      wanted: 'ratio <= 2.0',
      meets: ({ ratio }) => ratio !== null && ratio <= 2,
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
    let rounds = 0;
    const sendAll = async (): Promise<number> => {
      rounds += 1;
      forgetPeak(worker.pid);
      const seconds = await worker.call<number>('install', { operationId: `op-${rounds}`, image, stations });
      growth.push((peakRssBytes(worker.pid) - idle) / MB);
      return seconds;
    };
    const sent = await interleaved(PAIRS[effort], sendAll, () => scp(image, stations));

    const { ours } = await setStage(context, stationNames(10), { get_boot_reason: 'PowerUp' });
    const load: RateOptions = {
      perS: PER_S,
      seconds: effort === 'full' ? 5 : 1,
      questions: [{ leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate: effort === 'short' }],
    };
    const p99 = async (): Promise<number> => quantile(await ours.call<number[]>('atRate', load), 0.99);
    await p99();
    const whileSent = async (): Promise<number> => {
      const sending = sendAll();
      const figure = await p99();
      await sending;
      return figure;
    };
    const replies = await interleaved(PAIRS[effort], whileSent, p99);
    return {
      'ssh-images-20': { ...sent, notes: [`${stations} stations, ${SIZE[effort] / MB} MB each`] },
      'ssh-images-20-rss': { ours: growth },
      'ssh-images-20-reply-p99': replies,
    };
  },
};
