/** A large image to one station by SSH, whole and verified there, beside what one would type. */
import type { Benchmark } from '../row.js';
import { makeSshImage, startSshStations } from '../ssh-stations.js';
import { interleaved } from '../stage.js';

const SIZE = { full: 200_000_000, short: 5_000_000 } as const;
const PAIRS = { full: 5, short: 1 } as const;

export const sshImage: Benchmark<'ssh-image'> = {
  rows: [
    {
      name: 'ssh-image',
      unit: 's',
      baselineName: 'scp, then sha256sum by ssh',
      wanted: 'ratio <= 1.25',
      meets: ({ ratio }) => ratio !== null && ratio <= 1.25,
    },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const image = makeSshImage(dir, SIZE[effort]);
    const { worker, scp } = await startSshStations(context, 1);
    // The first one puts our program there.
    await worker.call('observe', 1);
    const measured = await interleaved(
      PAIRS[effort],
      (n) => worker.call<number>('install', { operationId: `op-${n}`, image, stations: 1 }),
      () => scp(image, 1),
    );
    const note =
      'ours is synced to the disk, and begins and ends an install that does nothing; what scp wrote is in the page cache';
    return { 'ssh-image': { ...measured, notes: [note] } };
  },
};
