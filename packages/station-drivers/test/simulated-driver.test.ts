import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import { profileFrom } from '@khumbu/shared/stations/stations-file';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import { within } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { driverContract } from '../src/contract/driver-contract.js';
import { createDriver } from '../src/create-driver.js';
import { bytesOf } from '../src/log-parts.js';
import type { FirmwareImage, StationDriver } from '../src/port.js';
import { type Charger, factoryCharger } from '../src/simulated/charger.js';
import { changeCharger, chargerFolder, readCharger } from '../src/simulated/charger-state.js';
import { type ChargerView, watchCharger } from '../src/simulated/charger-view.js';
import { createSimulatedDriver } from '../src/simulated/simulated-driver.js';

const { signal } = new AbortController();
const noon = Date.UTC(2030, 0, 1, 12);

interface Bench {
  readonly dataDir: string;
  readonly folder: string;
  /** Milliseconds since 1970 of the host's clock, which moves only by the test. */
  now: number;
  driver(settings?: SimulatedSettings): StationDriver;
  image(name: string): Promise<FirmwareImage>;
}

function benchFor(t: Test, station = 'depot/1'): Bench {
  const dataDir = t.testdir({});
  const bench: Bench = {
    dataDir,
    folder: chargerFolder(dataDir, station),
    now: noon,
    driver: (settings = {}) =>
      createSimulatedDriver({ station, settings, dataDir, interfaces: { Wired0: 'eth0' }, now: () => bench.now }),
    async image(name) {
      const path = join(dataDir, `${encodeURIComponent(name)}.img`);
      await writeFile(path, name);
      return { path, sizeBytes: Buffer.byteLength(name), sha256: Buffer.from(name).toString('hex') };
    },
  };
  return bench;
}

async function changed(
  { folder }: Bench,
  change: (charger: Charger | undefined) => Charger,
): Promise<{ readonly version: number; readonly charger: Charger }> {
  await changeCharger(folder, change);
  const stored = await readCharger(folder);
  if (!stored) throw new Error('nothing is stored');
  return stored;
}

await t.test('the contract of station drivers', async (t) => {
  await driverContract(t, async (t) => {
    const bench = benchFor(t);
    return {
      driver: () => bench.driver({ log_history_s: 600 }),
      image: (name) => bench.image(name),
      finish: async () => {
        bench.now += 1000;
      },
      interfaceName: 'eth0',
    };
  });
});

await t.test('while the host reboots nobody reaches it', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver();
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  bench.now += 999;
  const gone = { code: 'STATION_UNREACHABLE' };
  await t.rejects(driver.observe(signal), gone);
  await t.rejects(driver.observeEffect('op-1', 'reboot', signal), gone);
  await t.rejects(driver.start({ step: 'reboot', operationId: 'op-1' }, signal), gone);
  await t.rejects(driver.start({ step: 'restart', operationId: 'op-2' }, signal), gone);
  await t.rejects(driver.readClock(signal), gone);
  await t.rejects(driver.setClock(new Date(), signal), gone);
  await t.rejects(driver.configureNetwork({ interfaceName: 'eth0' }, signal), gone);
  await t.rejects(driver.openLogs({ type: 'DiagnosticsLog' }, signal), gone);
  bench.now += 1;
  t.same(await driver.observeEffect('op-1', 'reboot', signal), { state: 'succeeded' });
});

await t.test('an install tells its progress', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ install_ms: 4000 });
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  for (const [ms, progressPercent] of [
    [0, 0],
    [1000, 25],
    [2999, 99],
  ] as const) {
    bench.now += ms;
    t.same(await driver.observeEffect('op-1', 'install', signal), { state: 'running', progressPercent });
  }
});

await t.test('whoever waits for an install hears how far it is', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ install_ms: 4000 });
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  const heard: number[] = [];
  const effect = await awaitEffect(driver, 'op-1', 'install', signal, {
    onPercent(percent) {
      heard.push(percent);
      bench.now += 1000;
    },
  });
  t.same(heard, [0, 25, 50, 75]);
  t.equal(effect.state, 'succeeded');
});

await t.test('a station that went away is looked for a while, and then told to be away', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ install_ms: 4000 });
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  let looks = 0;
  const away: typeof driver = {
    ...driver,
    async observeEffect(...args) {
      looks += 1;
      if (looks > 3) throw new CodedError('STATION_UNREACHABLE', 'nobody there');
      bench.now += 5000;
      return looks < 3 ? { state: 'running' } : driver.observeEffect(...args);
    },
  };
  t.match(await awaitEffect(away, 'op-1', 'install', signal), { state: 'succeeded' });
  await t.rejects(awaitEffect(away, 'op-1', 'install', signal, { awayMs: 100 }), { code: 'STATION_UNREACHABLE' });
});

await t.test('without reboots an image takes effect at once', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ reboot: false });
  const before = await driver.observe(signal);
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  bench.now += 1000;
  t.same(await driver.observeEffect('op-1', 'install', signal), { state: 'succeeded', rebootNeeded: false });
  t.match(await driver.observe(signal), { bootId: before.bootId, runningInstalledBy: 'op-1' });
  t.equal((await readCharger(bench.folder))?.charger.everestStarts, 1, 'nothing restarted');
});

await t.test('images that the station finds unfit leave the slots as they were', async (t) => {
  const bench = benchFor(t);
  const good = await bench.image('good');
  const image = await bench.image('other');
  const cases: readonly [string, FirmwareImage, SimulatedSettings][] = [
    ['missing', { ...image, path: `${image.path}.gone` }, {}],
    ['of wrong size', { ...image, sizeBytes: image.sizeBytes + 1 }, {}],
    ['by script', image, { fail: { install: 'verification_failed' } }],
  ];
  await bench.driver().start({ step: 'install', operationId: 'good', image: good }, signal);
  bench.now += 1000;
  for (const [operationId, unfit, settings] of cases) {
    await bench.driver(settings).start({ step: 'install', operationId, image: unfit }, signal);
    bench.now += 1000;
    const seen = await bench.driver().observeEffect(operationId, 'install', signal);
    t.match(seen, { state: 'failed', code: 'verification_failed' }, operationId);
  }
  await bench.driver().start({ step: 'reboot', operationId: 'good' }, signal);
  bench.now += 1000;
  t.equal((await bench.driver().observe(signal)).runningInstalledBy, 'good');
});

await t.test('a failed install leaves nothing that boots', async (t) => {
  const bench = benchFor(t);
  const image = await bench.image('new');
  await bench.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  bench.now += 1000;
  await bench.driver({ fail: { install: 'failed' } }).start({ step: 'install', operationId: 'op-2', image }, signal);
  bench.now += 1000;
  t.match(await bench.driver().observeEffect('op-2', 'install', signal), { state: 'failed', code: 'failed' });
  await bench.driver().start({ step: 'reboot', operationId: 'op-2' }, signal);
  bench.now += 1000;
  t.notOk('runningInstalledBy' in (await bench.driver().observe(signal)), 'the factory image boots');
});

await t.test('an image that does not come up: back to the old slot', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ fail: { install: 'fallback' } });
  const before = await driver.observe(signal);
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  bench.now += 1000;
  t.same(await driver.observeEffect('op-1', 'install', signal), { state: 'succeeded', rebootNeeded: true });
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  bench.now += 1000;
  const after = await driver.observe(signal);
  t.not(after.bootId, before.bootId);
  t.notOk('runningInstalledBy' in after);
});

await t.test('what hangs, hangs until the script is taken out', async (t) => {
  const bench = benchFor(t);
  const hanging = bench.driver({ fail: { install: 'hang', reboot: 'hang' } });
  await hanging.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  bench.now += 1e9;
  t.same(await hanging.observeEffect('op-1', 'install', signal), { state: 'running', progressPercent: 0 });
  t.match(await bench.driver().observeEffect('op-1', 'install', signal), { state: 'running' });
  bench.now += 1000;
  t.match(await hanging.observeEffect('op-1', 'install', signal), { state: 'succeeded' });
  await hanging.start({ step: 'reboot', operationId: 'op-1' }, signal);
  bench.now += 1e9;
  await t.rejects(hanging.observe(signal), { code: 'STATION_UNREACHABLE' });
  await t.rejects(bench.driver().observe(signal), { code: 'STATION_UNREACHABLE' });
  bench.now += 1000;
  t.equal((await hanging.observe(signal)).runningInstalledBy, 'op-1');
});

await t.test('scripted refusals', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver({ fail: { logs: 'unavailable', clock: 'refused', network: 'failed' } });
  await t.rejects(driver.setClock(new Date(noon), signal), { code: 'CLOCK_REFUSED' });
  await t.rejects(driver.configureNetwork({ interfaceName: 'eth0' }, signal), { code: 'NETWORK_FAILED' });
  await t.rejects(driver.openLogs({ type: 'SecurityLog' }, signal), { code: 'LOGS_UNAVAILABLE' });
  await t.rejects(bench.driver().configureNetwork({ interfaceName: 'eth7' }, signal), { code: 'NETWORK_FAILED' });
  await t.rejects(bench.driver().setClock(new Date(Number.NaN), signal), { code: 'CLOCK_REFUSED' });
  const journal = await bench
    .driver({ fail: { logs: 'midway' } })
    .openLogs({ type: 'SecurityLog', oldest: new Date(noon - 99_999) }, signal);
  let got = '';
  await t.rejects(
    async () => {
      for await (const part of bytesOf(...journal)) got += String(part);
    },
    { code: 'LOGS_UNAVAILABLE' },
  );
  t.equal(got.split('\n').length - 1, 5, 'half of the ten records came');
});

await t.test('the clock of the host jumps', async (t) => {
  await t.test('forward: the effect ends early', async (t) => {
    const bench = benchFor(t);
    await bench.driver({ reboot_ms: 60_000 }).start({ step: 'reboot', operationId: 'op-1' }, signal);
    bench.now += 3_600_000;
    t.match(await bench.driver().observe(signal), { busy: false });
  });
  await t.test('back before the start: its time begins anew', async (t) => {
    const bench = benchFor(t);
    await bench
      .driver({ install_ms: 5000 })
      .start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
    bench.now -= 3_600_000;
    t.match(await bench.driver().observe(signal), { busy: true });
    bench.now += 4999;
    t.match(await bench.driver().observe(signal), { busy: true });
    bench.now += 1;
    t.match(await bench.driver().observe(signal), { busy: false });
  });
  await t.test('back before the start, and nobody but who starts it again looks', async (t) => {
    const bench = benchFor(t);
    const again = () => bench.driver({ reboot_ms: 5000 }).start({ step: 'reboot', operationId: 'op-1' }, signal);
    await again();
    bench.now -= 3_600_000;
    await t.rejects(again(), { code: 'STATION_UNREACHABLE' });
    bench.now += 5000;
    await again();
    t.match(await bench.driver().observe(signal), { busy: false }, 'it has not lasted an hour');
  });
  await t.test('back after the end: what was seen stays', async (t) => {
    const bench = benchFor(t);
    await bench.driver().start({ step: 'reboot', operationId: 'op-1' }, signal);
    bench.now += 1000;
    const seen = await bench.driver().observe(signal);
    bench.now -= 500;
    t.same(await bench.driver().observe(signal), seen);
  });
});

await t.test('what happened to the charger is in its logs', async (t) => {
  const bench = benchFor(t);
  const driver = bench.driver();
  await driver.start({ step: 'install', operationId: 'op-1', image: await bench.image('new') }, signal);
  bench.now += 1000;
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  bench.now += 1000;
  await driver.setClock(new Date(bench.now + 86_400_000), signal);
  const sources = await driver.openLogs({ type: 'DiagnosticsLog' }, signal);
  t.same(
    sources.map(({ name }) => name),
    ['journal', 'events'],
  );
  const lines = (await text(bytesOf(...sources.slice(1)))).trimEnd().split('\n');
  t.equal(lines.length, 6);
  t.match(lines[2], /^2030-01-01T12:00:01\.000Z installer: op-1 wrote slot B/);
  t.match(lines[4], /^2030-01-01T12:00:02\.000Z charger: booted slot B/);
  t.match(lines.at(-1), /^2030-01-02T12:00:02\.000Z clock: moved by 86400000 ms/);
});

await t.test('station ids become one plain folder name each', async (t) => {
  const dataDir = t.testdir({});
  const ids = [
    'a',
    'A/b',
    '..',
    '.',
    '.a',
    '%2E',
    '',
    '\0',
    '\ud800',
    '\ud801',
    'x'.repeat(300),
    'ä'.repeat(60),
    '%~1',
  ];
  for (const station of ids) {
    const driver = createSimulatedDriver({ station, settings: {}, dataDir });
    await driver.observe(signal);
  }
  t.equal((await readdir(dataDir)).length, ids.length);
});

await t.test('damaged state is told, not reset', async (t) => {
  const bench = benchFor(t);
  await bench.driver().observe(signal);
  for (const damage of ['', '{"schema":1', '{}', 'null']) {
    await writeFile(join(bench.folder, 'state.9.json'), damage);
    const corrupt = { code: 'CHARGER_STATE_CORRUPT', message: /state\.9\.json/ };
    await t.rejects(bench.driver().observe(signal), corrupt);
    await t.rejects(bench.driver().start({ step: 'reboot', operationId: 'op-1' }, signal), corrupt);
  }
});

await t.test('the folder keeps a few states and no old temporary files', async (t) => {
  const bench = benchFor(t);
  await mkdir(bench.folder, { recursive: true });
  const [old, fresh] = [join(bench.folder, 'tmp.1.old'), join(bench.folder, 'tmp.1.fresh')];
  await writeFile(old, 'half of a st');
  await writeFile(fresh, 'half of a st');
  await utimes(old, new Date(0), new Date(0));
  for (let ms = 1; ms <= 20; ms++) await bench.driver().setClock(new Date(noon + ms), signal);
  const names = await readdir(bench.folder);
  t.ok(names.includes('tmp.1.fresh'), 'a writer may be at work on it');
  t.equal(names.length, 9, names.join(' '));
});

await t.test('a writer that stood still while others went on sees that it lost', async (t) => {
  const bench = benchFor(t);
  const { charger } = await changed(bench, (stored) => ({ ...factoryCharger(noon), ...stored }));
  const state = (version: number): string => join(bench.folder, `state.${version}.json`);
  let calls = 0;
  const after = await changed(bench, (stored) => {
    // While the first call stands still, others write states 2 to 20 and remove the old ones, also 2.
    if (++calls === 1) {
      writeFileSync(state(20), JSON.stringify({ ...charger, everestStarts: 20 }));
      rmSync(state(1));
    }
    return { ...(stored ?? charger), clockOffsetMs: 7 };
  });
  t.equal(calls, 2);
  t.equal(after.version, 21);
  t.match(after.charger, { everestStarts: 20, clockOffsetMs: 7 }, 'both changes are there');
});

await t.test('a driver by profile', async (t) => {
  const dataDir = t.testdir({});
  const profile = profileFrom({ stations: { one: { driver: 'simulated', simulated: { reboot: false } } } }, 'one');
  if (!profile) throw new Error('no profile');
  const driver = createDriver(profile, { dataDir, redactionKey: undefined });
  t.equal(driver.station, 'one');
  t.match(await driver.observe(signal), { healthy: true });
});

await t.test('a watcher sees reboots and restarts end by themselves', async (t) => {
  const dataDir = t.testdir({});
  // A watcher that stands still for as long as a restart takes sees its end alone.
  const driver = createSimulatedDriver({ station: 'one', settings: { reboot_ms: 15_000 }, dataDir });
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const seen: ChargerView[] = [];
  let wake = (): void => {};
  const onChange = (view: ChargerView): void => {
    seen.push(view);
    wake();
  };
  const watching = watchCharger(dataDir, 'one', onChange, abort.signal);
  const awaitView = async (match: (view: ChargerView) => boolean): Promise<ChargerView> => {
    for (;;) {
      const view = seen.find(match);
      if (view) return view;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const until = (match: (view: ChargerView) => boolean): Promise<ChargerView> =>
    within(awaitView(match), 60_000, () => `one more view; there were ${JSON.stringify(seen)}`);
  const first = await until(() => true);
  t.match(first, { everestStarts: 1, rebooting: false, restarting: false });
  await driver.start({ step: 'restart', operationId: 'op-1' }, signal);
  await until(({ restarting }) => restarting);
  const restarted = await until(({ everestStarts }) => everestStarts === 2);
  t.match(restarted, { bootId: first.bootId, restarting: false });
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  await until(({ rebooting }) => rebooting);
  const rebooted = await until(({ everestStarts }) => everestStarts === 3);
  t.match(rebooted, { rebooting: false });
  t.not(rebooted.bootId, first.bootId);
  t.equal((await driver.observe(signal)).bootId, rebooted.bootId);
  abort.abort();
  await watching;
});

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  /** Operations whose start was confirmed. */
  readonly confirmed: string[];
}

function child(t: Test, bench: Bench, image: FirmwareImage, prefix: string, rounds: number): Child {
  const script = fileURLToPath(new URL('./charger-child.js', import.meta.url));
  const args = [bench.dataDir, 'depot/1', image.path, String(image.sizeBytes), prefix, String(rounds)];
  const process_ = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => process_.kill('SIGKILL'));
  const confirmed: string[] = [];
  let rest = '';
  process_.stdout.setEncoding('utf8').on('data', (part: string) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    confirmed.push(...lines);
  });
  return { process: process_, ended: once(process_, 'close'), confirmed };
}

await t.test('many workers at once start every install exactly once', async (t) => {
  const bench = benchFor(t);
  const image = await bench.image('new');
  const workers = Array.from({ length: 4 }, () => child(t, bench, image, 'op', 30));
  await Promise.all(workers.map(({ ended }) => ended));
  for (const { process } of workers) t.equal(process.exitCode, 0);
  const stored = (await readCharger(bench.folder))?.charger;
  const started = stored?.installs.map(({ operationId }) => operationId) ?? [];
  t.same([...new Set(started)], started, 'none twice');
  t.equal(stored?.installCount, started.length);
  t.same(new Set(workers.flatMap(({ confirmed }) => confirmed)), new Set(started), 'each confirmed one, no other');
});

await t.test('workers killed at any instant lose and repeat nothing', async (t) => {
  const bench = benchFor(t);
  const image = await bench.image('new');
  const confirmed: string[] = [];
  for (let life = 0; life < 5; life++) {
    const workers = Array.from({ length: 2 }, () => child(t, bench, image, `life${life}`, 1e9));
    // Each is killed somewhere in its work, a little further every time.
    await Promise.all(
      workers.map(async ({ process, ended, confirmed }, index) => {
        while (confirmed.length < 1 + life * 2 + index) await once(process.stdout ?? process, 'data');
        process.kill('SIGKILL');
        await ended;
      }),
    );
    confirmed.push(...workers.flatMap((worker) => worker.confirmed));
    bench.now = Date.now();
    t.match(await bench.driver().observe(signal), { healthy: true });
  }
  const stored = (await readCharger(bench.folder))?.charger;
  const started = stored?.installs.map(({ operationId }) => operationId) ?? [];
  t.same([...new Set(started)], started, 'none twice');
  t.ok(confirmed.length > 10);
  t.same(
    confirmed.filter((operationId) => !started.includes(operationId)),
    [],
    'none lost',
  );
});
