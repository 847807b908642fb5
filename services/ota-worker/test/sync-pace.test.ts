import { isSyncDue } from '@khumbu/ota-worker/fetching/sync-pace';
import t from 'tap';

const KIB = 1024;

void t.test('when what was written is synced', async (t) => {
  const cases: readonly [string, unsynced: number, ms: number, boolean][] = [
    ['nothing to sync', 0, 5000, false],
    ['a slow line: soon', 128 * KIB, 50, true],
    ['not after each piece', 64 * KIB, 50, false],
    ['the disk has its peace', 255 * KIB, 49, false],
    ['a very slow line: in a second', 1, 1000, true],
    ['a fast line: not ten times a second', 1024 * KIB, 50, false],
    ['...but each second', 5 * 1024 * KIB, 1000, true],
    ['...and for so much', 16 * 1024 * KIB, 1, true],
  ];
  for (const [name, unsynced, ms, isDue] of cases) t.equal(isSyncDue(unsynced, ms), isDue, name);
});
