/** A part that a killed run left, in a spool without room for a second copy of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resumeDownload } from '@khumbu/ota-worker/fetching/resume-download';
import { hostBootId, newPaths } from '@khumbu/ota-worker/fetching/sidecar';
import { identify, identifySelf, type PlacedIdentity } from '@khumbu/shared/runtime/process-identity';
import t, { type Test } from 'tap';

const { signal } = new AbortController();

/** One byte more than there is room for; it takes none. */
function left(t: Test, writer?: PlacedIdentity) {
  const folder = t.testdir({});
  const paths = newPaths(folder, 'image');
  const { bavail, bsize } = statfsSync(folder);
  const size = bavail * bsize + 1024 ** 3;
  writeFileSync(paths.part, '');
  truncateSync(paths.part, size);
  const sidecar = { validators: { etag: '"a"' }, bootId: hostBootId(), syncedBytes: 0, closed: false };
  writeFileSync(paths.sidecar, JSON.stringify(writer ? { ...sidecar, writer } : sidecar));
  const asked: number[] = [];
  const makeRoom = async (bytes: number): Promise<number> => {
    asked.push(bytes);
    return 0;
  };
  return { folder, size, asked, paths, resume: () => resumeDownload(folder, 'image', { signal, makeRoom }) };
}

/** Of a process that has been. */
async function ended(): Promise<PlacedIdentity> {
  const child = spawn('sleep', ['600']);
  const [self, identity] = [identifySelf(), identify(child.pid ?? 0)];
  if (!self || !identity) throw new Error('there is no way to tell processes apart here');
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  return { ...self, ...identity };
}

void t.test('of a process that has ended: it is taken over as it is', async (t) => {
  const { folder, size, asked, paths, resume } = left(t, await ended());
  const { ino } = statSync(paths.part);
  const part = await resume();
  t.equal(part?.held.offset, size, 'all of it counts');
  t.same(asked, [], 'it takes no room');
  const [name = ''] = readdirSync(folder).filter((each) => each.endsWith('.part'));
  t.equal(statSync(join(folder, name)).ino, ino);
  await part?.discard();
  t.same(readdirSync(folder), []);
});

for (const [whose, writer] of [
  ['of one that may be frozen', identifySelf()],
  ['of one that nobody knows', undefined],
] as const)
  void t.test(`${whose}: room is asked for before it is given up`, async (t) => {
    const { folder, asked, resume } = left(t, writer);
    t.equal(await resume(), undefined);
    t.equal(asked.length, 1);
    t.ok((asked[0] ?? 0) > 1024 ** 3 / 2, `${asked[0]} bytes are missing`);
    t.same(readdirSync(folder), [], 'it would only keep the spool full');
  });
