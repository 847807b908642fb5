/** What every station driver must do, whatever is behind it. */
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { bytesOf, partsOf } from '../log-parts.js';
import type { Effect, FirmwareImage, LogSource, StationDriver } from '../port.js';

/** A station to try a driver on; each test gets a new one, idle, with clocks that may be set. */
export interface ContractStation {
  /** A new driver for the station, as another worker process would make it. */
  driver(): StationDriver;
  /** An image that the station takes; different ones for different names. */
  image(name: string): Promise<FirmwareImage>;
  /** Let the effect under way end. Until then it must not. */
  finish(): Promise<void>;
  /** An interface that the station has; needed where the driver says that it configures networks. */
  readonly interfaceName?: string;
}

export type MakeStation = (t: Test) => Promise<ContractStation>;

const { signal } = new AbortController();

const install = async (station: ContractStation, operationId: string): Promise<Effect> => ({
  step: 'install',
  operationId,
  image: await station.image(operationId),
});

async function run(station: ContractStation, effect: Effect): Promise<void> {
  await station.driver().start(effect, signal);
  await station.finish();
}

const linesOf = async (source: LogSource): Promise<readonly string[]> =>
  (await text(bytesOf(source))).split('\n').filter((line) => line !== '');

const timeOf = (line: string): number => Date.parse(line.split(' ')[0] ?? '');

/** Run the contract as subtests of `t`. */
export async function driverContract(t: Test, makeStation: MakeStation): Promise<void> {
  await effectsContract(t, makeStation);
  await recoveryContract(t, makeStation);
  await commandsContract(t, makeStation);
  await logsContract(t, makeStation);
}

async function effectsContract(t: Test, makeStation: MakeStation): Promise<void> {
  await t.test('nothing was started on a new station', async (t) => {
    const station = await makeStation(t);
    const driver = station.driver();
    t.same(await driver.observeEffect('op-1', 'install', signal), { state: 'absent' });
    const seen = await driver.observe(signal);
    t.match(seen, { healthy: true, busy: false });
    t.notOk('runningInstalledBy' in seen);
    t.same(await station.driver().observe(signal), seen, 'another worker sees the same');
  });

  await t.test('an image is installed beside the running one and taken by a reboot', async (t) => {
    const station = await makeStation(t);
    const before = await station.driver().observe(signal);
    const effect = await install(station, 'op-1');
    await station.driver().start(effect, signal);
    t.match(await station.driver().observeEffect('op-1', 'install', signal), { state: 'running' });
    t.match(await station.driver().observe(signal), { bootId: before.bootId, busy: true });
    await station.finish();
    const installed = { state: 'succeeded', rebootNeeded: true };
    t.same(await station.driver().observeEffect('op-1', 'install', signal), installed);
    t.same(await station.driver().observe(signal), before, 'the running slot was not touched');

    await run(station, { step: 'reboot', operationId: 'op-1' });
    t.same(await station.driver().observeEffect('op-1', 'reboot', signal), { state: 'succeeded' });
    const after = await station.driver().observe(signal);
    t.match(after, { runningInstalledBy: 'op-1', healthy: true, busy: false });
    t.equal(after.runningImageSha256, effect.step === 'install' ? effect.image.sha256 : '');
    t.not(after.bootId, before.bootId);
    t.same(await station.driver().observeEffect('op-1', 'install', signal), installed, 'still known after the boot');
  });

  await t.test('a repeat starts nothing: at once, while it runs, and after its end', async (t) => {
    const station = await makeStation(t);
    const effect = await install(station, 'op-1');
    await Promise.all([1, 2, 3, 4].map(() => station.driver().start(effect, signal)));
    await station.driver().start(effect, signal);
    await station.finish();
    await station.driver().start(effect, signal);
    t.match(await station.driver().observe(signal), { busy: false });
    await run(station, { step: 'reboot', operationId: 'op-1' });
    const { bootId } = await station.driver().observe(signal);
    await station.driver().start({ step: 'reboot', operationId: 'op-1' }, signal);
    await station.driver().start(effect, signal);
    t.match(await station.driver().observe(signal), { bootId, busy: false });
  });

  await t.test('one effect at a time', async (t) => {
    const station = await makeStation(t);
    const [first, second] = await Promise.all([install(station, 'op-1'), install(station, 'op-2')]);
    const results = await Promise.allSettled([first, second].map((effect) => station.driver().start(effect, signal)));
    t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    t.match(
      results.find(({ status }) => status === 'rejected'),
      { reason: { code: 'STATION_BUSY' } },
    );
    const reboot = { step: 'reboot', operationId: 'op-3' } as const;
    await t.rejects(station.driver().start(reboot, signal), { code: 'STATION_BUSY' });
    await station.finish();
    t.same(await station.driver().observeEffect('op-3', 'reboot', signal), { state: 'absent' });
    await station.driver().start(reboot, signal);
  });

  await t.test('what is retired never begins; what had begun goes on', async (t) => {
    const station = await makeStation(t);
    const late = await install(station, 'op-1');
    await Promise.all([1, 2].map(() => station.driver().retire('op-1', signal)));
    await t.rejects(station.driver().start(late, signal), { code: 'EFFECT_RETIRED' });
    await t.rejects(station.driver().start({ step: 'reboot', operationId: 'op-1' }, signal), {
      code: 'EFFECT_RETIRED',
    });
    t.match(await station.driver().observe(signal), { busy: false });

    const begun = await install(station, 'op-2');
    await station.driver().start(begun, signal);
    await station.driver().retire('op-2', signal);
    t.match(
      await station.driver().observe(signal),
      { busy: true },
      'another operation may begin, one that runs goes on',
    );
    await station.driver().start(begun, signal);
    await station.finish();
    t.match(await station.driver().observeEffect('op-2', 'install', signal), { state: 'succeeded' });
    await t.rejects(station.driver().start({ step: 'reboot', operationId: 'op-2' }, signal), {
      code: 'EFFECT_RETIRED',
    });
    t.same(await station.driver().observeEffect('op-1', 'install', signal), { state: 'absent' });
  });
}

async function recoveryContract(t: Test, makeStation: MakeStation): Promise<void> {
  await t.test('what was given up while it was installed is not booted some day', async (t) => {
    const station = await makeStation(t);
    const driver = station.driver();
    if (!driver.recover) return;
    t.equal(await driver.recover('op-0', signal), 'nothing', 'an operation it never heard of');
    await run(station, await install(station, 'op-1'));
    await run(station, { step: 'reboot', operationId: 'op-1' });
    t.equal(await driver.recover('op-1', signal), 'runs');
    const before = await driver.observe(signal);

    await driver.start(await install(station, 'op-2'), signal);
    await driver.retire('op-2', signal);
    await t.rejects(driver.recover('op-2', signal), { code: 'STATION_BUSY' });
    await station.finish();
    const found = await driver.recover('op-2', signal);
    if (found === 'not_supported') return;
    t.equal(found, 'put_back');
    t.equal(await station.driver().recover?.('op-2', signal), 'put_back', 'safe to repeat');
    await run(station, { step: 'reboot', operationId: 'op-3' });
    const { bootId, ...after } = await driver.observe(signal);
    t.not(bootId, before.bootId);
    t.same(after, Object.fromEntries(Object.entries(before).filter(([name]) => name !== 'bootId')), 'as it was');
  });
}

async function commandsContract(t: Test, makeStation: MakeStation): Promise<void> {
  await t.test('EVerest restarts without a boot', async (t) => {
    const station = await makeStation(t);
    const before = await station.driver().observe(signal);
    await run(station, { step: 'restart', operationId: 'op-1' });
    t.same(await station.driver().observeEffect('op-1', 'restart', signal), { state: 'succeeded' });
    t.same(await station.driver().observe(signal), before);
  });

  await t.test('the clock is set and read', async (t) => {
    const station = await makeStation(t);
    const time = new Date('2031-02-03T04:05:06.789Z');
    await station.driver().setClock(time, signal);
    const late = (await station.driver().readClock(signal)).getTime() - time.getTime();
    t.ok(late >= 0 && late < 30_000, `${late} ms later`);
  });

  await t.test('a clock that is slewed does not jump', async (t) => {
    const station = await makeStation(t);
    const driver = station.driver();
    if (!driver.slewClock) return;
    await driver.setClock(new Date('2031-02-03T04:05:06.789Z'), signal);
    const before = await driver.readClock(signal);
    // A step would be seen, however slow the station is.
    await driver.slewClock(-1_800_000, signal);
    const times = [before, await driver.readClock(signal), await driver.readClock(signal)].map((time) =>
      time.getTime(),
    );
    t.same(
      times,
      [...times].sort((a, b) => a - b),
      'it does not go back',
    );
    await driver.slewClock(0, signal);
  });

  await t.test('a network interface is prepared, again and again', async (t) => {
    const station = await makeStation(t);
    const setup = { interfaceName: station.interfaceName ?? 'eth0' };
    if (!station.driver().capabilities.network) {
      await t.rejects(station.driver().configureNetwork(setup, signal), { code: 'NOT_SUPPORTED' });
      return;
    }
    const first = await station.driver().configureNetwork(setup, signal);
    t.ok(first.interfaceAddress);
    t.same(await station.driver().configureNetwork(setup, signal), first);
  });

  await t.test('a signal that has fired stops everything before it begins', async (t) => {
    const station = await makeStation(t);
    const driver = station.driver();
    const { bootId } = await driver.observe(signal);
    const fired = AbortSignal.abort();
    await t.rejects(driver.start({ step: 'reboot', operationId: 'op-1' }, fired), { name: 'AbortError' });
    await t.rejects(driver.observe(fired), { name: 'AbortError' });
    await t.rejects(driver.setClock(new Date(0), fired), { name: 'AbortError' });
    await t.rejects(driver.openLogs({ type: 'SecurityLog' }, fired), { name: 'AbortError' });
    t.same(await driver.observeEffect('op-1', 'reboot', signal), { state: 'absent' });
    t.match(await driver.observe(signal), { bootId, busy: false });
  });
}

async function logsContract(t: Test, makeStation: MakeStation): Promise<void> {
  for (const type of ['DiagnosticsLog', 'SecurityLog'] as const)
    await t.test(`${type}: records in time order, exactly those of the window`, async (t) => {
      const station = await makeStation(t);
      if (!station.driver().capabilities.logs) {
        await t.rejects(station.driver().openLogs({ type }, signal), { code: 'LOGS_UNAVAILABLE' });
        return;
      }
      const sources = await station.driver().openLogs({ type }, signal);
      const names = sources.map(({ name }) => name);
      t.ok(
        names.every((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(name)) && new Set(names).size === names.length,
      );
      const all = await Promise.all(sources.map(linesOf));
      t.ok(all.flat().length > 4);
      for (const lines of all) {
        const times = lines.map(timeOf);
        t.ok(times.every((time, index) => time >= (times[index - 1] ?? 0)));
      }
      const times = all
        .flat()
        .map(timeOf)
        .sort((a, b) => a - b);
      const [oldest, latest] = [times[2] ?? 0, times[times.length - 3] ?? 0];
      const query = { type, oldest: new Date(oldest), latest: new Date(latest) };
      const part = await Promise.all((await station.driver().openLogs(query, signal)).map(linesOf));
      const inside = (line: string): boolean => timeOf(line) >= oldest && timeOf(line) <= latest;
      t.same(
        part,
        all.map((lines) => lines.filter(inside)),
      );
    });

  await t.test(
    'parts of a log have plain names, each once, and notes that can be read once they have ended',
    async (t) => {
      const station = await makeStation(t);
      if (!station.driver().capabilities.logs) return;
      for (const source of await station.driver().openLogs({ type: 'DiagnosticsLog' }, signal)) {
        const names: string[] = [];
        for await (const { name, stream, notes } of partsOf(source)) {
          names.push(name);
          await text(stream);
          t.ok((notes?.() ?? []).every((note) => note.code !== undefined && note.text !== ''));
        }
        t.ok(
          names.every((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)) &&
            new Set(names).size === names.length,
        );
        t.ok((source.notes?.() ?? []).every(({ text }) => text !== ''));
      }
    },
  );

  await t.test('log streams end when the signal fires', async (t) => {
    const station = await makeStation(t);
    if (!station.driver().capabilities.logs) return;
    const abort = new AbortController();
    const sources = await station.driver().openLogs({ type: 'DiagnosticsLog' }, abort.signal);
    t.ok(sources.length > 0);
    abort.abort();
    for (const source of sources) await t.rejects(text(bytesOf(source)), { name: 'AbortError' });
  });
}
