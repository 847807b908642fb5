/** An image to twenty stations at once, and what the stations that ask the gateway notice of it. */
import { join } from 'node:path';
import { describeError } from '@khumbu/shared/runtime/errors';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { moveToIdleCgroup } from '../idle-cgroup.js';
import type { RateOptions } from '../load/requester.js';
import { forgetPeak, MB, peakRssBytes, rssBytes } from '../process-figures.js';
import type { Benchmark, Measured } from '../row.js';
import { makeSshImage, type SshStations, startSshStations } from '../ssh-stations.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = { full: 20, short: 3 } as const;
const SIZE = { full: 50_000_000, short: 2_000_000 } as const;
const PAIRS = { full: 3, short: 1 } as const;
const PER_S = 100;
const SECONDS = { full: 5, short: 1 } as const;

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

/** Stations with processors and disks that are not those of the depot. */
const APART = 'ssh-apart';
const STATION_DISKS_BYTES = 5_000_000_000;
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
    const replies = async ({ worker }: SshStations): Promise<Measured> => {
      await worker.call('observe', stations);
      await p99();
      const whileSent = async (round: number): Promise<number> => {
        let isOver = false;
        const sending = worker.call<number>('install', { operationId: `op-${round}`, image, stations });
        const over = sending.then((seconds) => {
          isOver = true;
          context.say(`brought in ${seconds.toFixed(1)} s`);
        });
        const asked = p99().then((figure) => {
          if (isOver && effort === 'full') throw new Error('the images were there before the questions were over');
          return figure;
        });
        const [figure] = await Promise.all([asked, over]);
        return figure;
      };
      return interleaved(PAIRS[effort], whileSent, p99);
    };
    const disk = await mountSmallDisk(context, join(dir, APART), STATION_DISKS_BYTES);
    const apart = await startSshStations(context, stations, APART);
    // Idle processes get nothing at all on a machine with other work: connections of stations would be given up.
    const idle = effort === 'full' ? moveToIdleCgroup(apart.sshd.pid) : 'they stay where they are in the short form';
    if (typeof idle !== 'string') {
      context.teardown(async () => {
        await apart.worker.end();
        await apart.sshd.stop();
        await idle.remove();
      });
    }
    const own = await replies(apart);
    const together = await startSshStations(context, stations, 'ssh-shared');
    // Here a question may be answered late enough to void the figure, which is no reason to void the other one.
    const shared = await replies(together).catch((error: unknown) => context.say(describeError(error)));
    return {
      'ssh-images-20-reply-p99': {
        ...own,
        notes: [
          typeof idle === 'string'
            ? `the stations take turns with the depot on its processors: ${idle}`
            : 'the stations get what the depot leaves of its processors, in place of processors of their own',
          disk ? 'their files are in memory' : 'their files are on the disk of the depot: no other could be mounted',
        ],
      },
      ...(shared && {
        'ssh-images-20-reply-p99-shared': {
          ...shared,
          notes: ['the stations take turns with the depot on its processors, and its disk'],
        },
      }),
    };
  },
};
