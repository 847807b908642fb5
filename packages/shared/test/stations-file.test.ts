import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStationDirectory, parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import t, { type Test as T } from 'tap';
import { problemsOf } from './problems-of.js';

/** The promise, or an error after ten seconds; also keeps the process alive for what does not. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), 60_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

void t.test('the stations file', async (t) => {
  const profileOf = (text: string, station: string) => profileFrom(parseStationsFile(text), station);
  const DEFAULTS = {
    driver: 'simulated',
    dialect: 'unknown',
    ocpp: true,
    announce: true,
    requireSignature: false,
    certificate: 'any',
    clock: { largestStepMs: 31_622_400_000, slewBelowMs: 5000 },
    settleMs: 0,
    readyStatus: 'before-install',
    readyLeadMs: 60_000,
    logFailureStatus: 'last',
  };
  t.strictSame(profileOf('stations: {cp1: {driver: simulated}}', 'cp1'), {
    ...DEFAULTS,
    station: 'cp1',
    simulated: {},
  });
  t.equal(profileOf('stations: {cp1: {driver: simulated}}', 'cp2'), undefined);
  t.equal(profileOf('stations: {cp1: {}}', 'cp1'), undefined, 'without a driver a station is not touched');
  t.equal(profileOf('', 'cp1'), undefined);
  t.equal(profileOf('stations: {cp1: {driver: simulated}}', 'toString'), undefined);
  t.equal(
    profileOf('{unknown_stations: simulated, stations: {cp1: {dialect: ocpp1.6}}}', 'cp1')?.driver,
    'simulated',
    'where everybody is simulated, one listed for something else is too',
  );
  t.match(profileOf('unknown_stations: simulated', 'anything'), DEFAULTS);
  const file = `
unknown_stations: simulated
defaults: {driver: simulated, dialect: ocpp2.x, require_signature: true, simulated: {install_ms: 5, reboot_ms: 6}}
stations:
  7: {dialect: ocpp1.6, ocpp: false, announce: false, settle_ms: 9, simulated: {install_ms: 1}, interfaces: {Any: eth0}, clock: {largest_step_s: 60}}
`;
  t.match(profileOf(file, '7'), {
    dialect: 'ocpp1.6',
    ocpp: false,
    announce: false,
    requireSignature: true,
    settleMs: 9,
    clock: { largestStepMs: 60_000, slewBelowMs: 5000 },
    interfaces: { Any: 'eth0' },
    simulated: { install_ms: 1, reboot_ms: 6 },
  });
  t.match(profileOf(file, 'other'), { dialect: 'ocpp2.x', requireSignature: true, simulated: { install_ms: 5 } });

  const labeled = `
defaults: {driver: simulated, labels: {site: north, make: acme}}
stations: {cp1: {labels: {site: south, row: "3"}}, cp2: {}}
`;
  t.strictSame(profileOf(labeled, 'cp1')?.labels, { site: 'south', make: 'acme', row: '3' }, 'key by key');
  t.strictSame(profileOf(labeled, 'cp2')?.labels, { site: 'north', make: 'acme' });

  const bad: [string, RegExp][] = [
    ['stations: [', /stations file/],
    ['stations: {cp1: {labels: {row: 3}}}', /\/stations\/cp1\/labels\/row .*string/],
    ['stations: {cp1: {labels: {Row: "3"}}}', /\/stations\/cp1\/labels .*Row/],
    ['stations: {cp1: {labels: {row: "a=b"}}}', /\/stations\/cp1\/labels\/row /],
    ['- a', /stations file: .*object/],
    ['stations: {cp1: {driver: ssh}}', /\/stations\/cp1\/driver .*simulated/],
    ['stations: {cp1: {drivr: simulated}}', /\/stations\/cp1 .*drivr/],
    ['unknown_station: refuse', /unknown_station /],
    ['stations: {cp1: {settle_ms: "2"}}', /\/stations\/cp1\/settle_ms .*integer/],
    ['stations: {cp1: {driver: simulated}, cp1: {driver: simulated}}', /stations file/],
    ['defaults: {simulated: {fail: {install: sometimes}}}', /\/defaults\/simulated\/fail\/install/],
  ];
  for (const [text, wanted] of bad)
    t.match(
      problemsOf(() => parseStationsFile(text)),
      wanted,
      text,
    );
});

void t.test('the stations file is followed', async (t) => {
  const ignored = { usable: () => undefined, unusable: () => undefined };
  const open = (t: T, path: string) => {
    const problems: unknown[] = [];
    const waiting: (() => void)[] = [];
    const wake = (): void => {
      for (const go of waiting.splice(0)) go();
    };
    const directory = openStationDirectory(
      path,
      {
        usable: () => undefined,
        unusable: (_setting, error) => {
          problems.push(error);
          wake();
        },
      },
      wake,
    );
    t.teardown(() => directory.close());
    const until = async (done: () => boolean): Promise<void> => {
      while (!done()) await soon(new Promise<void>((resolve) => waiting.push(resolve)), String(done));
    };
    return { directory, problems, until };
  };
  const A = 'stations: {a: {driver: simulated}}\n';
  const B = 'stations: {b: {driver: simulated}}\n';

  await t.test('renamed over, then broken, then good again', async (t) => {
    const dir = t.testdir({ 'stations.yaml': A, other: '' });
    const path = join(dir, 'stations.yaml');
    const { directory, problems, until } = open(t, path);
    t.same(directory.configured(), ['a']);
    const replace = (text: string): void => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    replace(B);
    await until(() => directory.configured().includes('b'));
    t.ok(directory.profileOf('b'));
    t.equal(directory.profileOf('a'), undefined);
    replace('stations: {b: {nonsense: 1}}');
    await until(() => problems.length > 0);
    t.match(problems[0], { code: 'STATIONS_FILE_INVALID', message: /nonsense/ });
    t.same(directory.configured(), ['b'], 'the last good content stays');
    unlinkSync(path);
    await until(() => problems.some((problem) => /cannot be read/.test(String(problem))));
    t.same(directory.configured(), ['b'], 'also without a file');
    replace(A);
    await until(() => directory.configured().includes('a'));
  });

  await t.test('what is left of it may be its comments alone; to have no stations is written', async (t) => {
    const path = join(t.testdir({ 'stations.yaml': `# ours\n${A}` }), 'stations.yaml');
    const { directory, problems, until } = open(t, path);
    writeFileSync(path, '# ours\n');
    await until(() => problems.some((problem) => /STATIONS_FILE: there is nothing but comments/.test(String(problem))));
    t.same(directory.configured(), ['a'], 'the last good content stays');
    writeFileSync(path, '');
    await until(() =>
      problems.some((problem) => /STATIONS_FILE: it is empty: write {} for none/.test(String(problem))),
    );
    t.same(directory.configured(), ['a'], 'the last good content stays');
    writeFileSync(path, '# ours\n{}\n');
    await until(() => directory.configured().length === 0);
  });

  await t.test('written in place, its empty beginning is not taken for its content', async (t) => {
    const path = join(t.testdir({ 'stations.yaml': A }), 'stations.yaml');
    const seen: string[] = [];
    let changed = (): void => undefined;
    const directory = openStationDirectory(path, ignored, () => {
      seen.push(directory.configured().join());
      changed();
    });
    t.teardown(() => directory.close());
    const change = new Promise<void>((resolve) => {
      changed = resolve;
    });
    writeFileSync(path, '');
    await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(path, B);
    await soon(change, 'the change');
    t.same(seen, ['b']);
  });

  await t.test('mounted as a config map: a link to a folder that is swapped', async (t) => {
    const dir = t.testdir({});
    for (const [name, text] of [
      ['one', A],
      ['two', B],
    ] as const) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, 'stations.yaml'), text);
    }
    symlinkSync('one', join(dir, '..data'));
    symlinkSync(join('..data', 'stations.yaml'), join(dir, 'stations.yaml'));
    const { directory, until } = open(t, join(dir, 'stations.yaml'));
    t.same(directory.configured(), ['a']);
    symlinkSync('two', join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
    await until(() => directory.configured().includes('b'));
  });

  t.match(
    problemsOf(() => openStationDirectory(join(t.testdir({}), 'none.yaml'), ignored)),
    /^STATIONS_FILE cannot be read \(ENOENT\)/,
  );
  for (const [text, configured] of [
    ['# ours\n', []],
    ['{}', []],
    ['null', []],
    [A, ['a']],
  ] as const) {
    const directory = openStationDirectory(join(t.testdir({ 'stations.yaml': text }), 'stations.yaml'), ignored);
    t.same(directory.configured(), configured, JSON.stringify(text));
    directory.close();
  }
  for (const text of ['', '\n', ' \r\n'])
    t.match(
      problemsOf(() => openStationDirectory(join(t.testdir({ 'stations.yaml': text }), 'stations.yaml'), ignored)),
      'STATIONS_FILE: it is empty: write {} for none',
    );
  const none = openStationDirectory(undefined, ignored);
  t.same([none.configured(), none.profileOf('a')], [[], undefined]);
});
