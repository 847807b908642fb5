/** A station whose state folder is full when a real update tool comes to its end: what is told is true, and it ran once. */
import { mkdtemp, readFile, rm, watch } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasRauc, startRauc } from '@khumbu/test-support/rauc';
import { mountSmallDisk, type SmallDisk } from '@khumbu/test-support/small-disk';
import { hasSwupdate } from '@khumbu/test-support/swupdate';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import type { Effect, FirmwareImage, StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { raucEntry } from './rauc-entry.js';
import { endProcessesOf } from './stage.js';
import { setUp } from './swupdate-stage.js';

const { signal } = new AbortController();
const PATIENCE_MS = 180_000;
t.setTimeout(900_000);

async function smallDisk(t: Test): Promise<SmallDisk | undefined> {
  const place = await mkdtemp(join(tmpdir(), 'full-disk-'));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  const disk = await mountSmallDisk(t, place, 8 * 1024 * 1024);
  if (!disk) t.comment('nothing can be mounted here');
  return disk;
}

interface Case {
  readonly driver: StationDriver;
  readonly disk: SmallDisk;
  readonly image: FirmwareImage;
  readonly begun: () => Promise<number>;
  readonly let: () => Promise<void>;
  /** Whether the tool has made the new slot the next to boot. */
  readonly isSwitched: () => boolean | Promise<boolean>;
  /** In the state folder, where it tries in vain to write down what it has installed. */
  readonly resultFile?: string;
}

/** Resolves once somebody has tried to write a file, in vain or not. */
async function triedToWrite(file: string, signal: AbortSignal): Promise<void> {
  for await (const { filename } of watch(dirname(file), { signal }))
    if (filename?.startsWith(`${basename(file)}.`)) return;
}

/** What was installed is to be written down, or it is installed once more. */
const triedOrAgain = ({ begun, let: go }: Case, file: string): Promise<unknown> => {
  const over = new AbortController();
  const again = async (): Promise<boolean> => {
    if ((await begun()) < 2) return over.signal.aborted;
    await go();
    return true;
  };
  const ways = [
    triedToWrite(file, AbortSignal.any([over.signal, AbortSignal.timeout(PATIENCE_MS)])),
    awaitUntil(again, PATIENCE_MS, 'its end'),
  ];
  return Promise.race(ways).finally(() => over.abort());
};

async function toldTrue(t: Test, play: Case): Promise<void> {
  const { driver, disk, image, begun, let: go, isSwitched, resultFile } = play;
  const end = (step: Effect['step']) => awaitEffect(driver, 'op-1', step, AbortSignal.timeout(PATIENCE_MS));
  await driver.start({ step: 'install', operationId: 'op-1', image }, signal);
  await awaitUntil(async () => (await begun()) > 0, PATIENCE_MS, 'the tool to begin');
  await disk.fill(0);
  const isTriedOrAgain = resultFile && triedOrAgain(play, join(disk.path, resultFile));
  await go();
  await awaitUntil(isSwitched, PATIENCE_MS, 'the tool to switch');
  for (let look = 0; look < 8; look += 1)
    t.not((await driver.observeEffect('op-1', 'install', signal).catch(() => undefined))?.state, 'failed');
  await isTriedOrAgain;
  await disk.free();
  t.same(await end('install'), { state: 'succeeded', rebootNeeded: true });
  t.equal(await begun(), 1, 'it was installed once');
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  t.match(await end('reboot'), { state: 'succeeded' });
  const after = await awaitUntil(
    () => driver.observe(signal).catch(() => undefined),
    PATIENCE_MS,
    'the tool to answer',
  );
  t.match(after, { runningInstalledBy: 'op-1', runningImageSha256: image.sha256 });
}

await t.test('RAUC', { skip: !hasRauc() }, async (t) => {
  const disk = await smallDisk(t);
  if (!disk) return;
  const rauc = await startRauc();
  t.teardown(() => rauc.stop());
  endProcessesOf(t, disk.path);
  await toldTrue(t, {
    disk,
    driver: createRealDriver('gate', { ...raucEntry(rauc), state_dir: join(disk.path, 'state') }, createSshPool()),
    image: await rauc.bundle('op-1'),
    begun: async () => (await readFile(join(rauc.dir, 'begun'), 'utf8').catch(() => '')).split('\n').length - 1,
    let: () => rauc.let(),
    isSwitched: async () => (await rauc.primary()) === 'B',
  });
});

await t.test('SWUpdate', { skip: !hasSwupdate() }, async (t) => {
  const disk = await smallDisk(t);
  if (!disk) return;
  const { station, driver } = await setUp(t);
  endProcessesOf(t, disk.path);
  await toldTrue(t, {
    disk,
    driver: driver({ state_dir: join(disk.path, 'state') }),
    image: await station.image('op-1'),
    begun: () => station.begun(),
    let: () => station.let(),
    isSwitched: () => station.variable('slot') === 'b',
    resultFile: 'state/swupdate/slot-b',
  });
});
