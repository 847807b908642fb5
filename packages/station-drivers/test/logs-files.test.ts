/** Files as sources: rotated, packed, growing, vanishing, with names that somebody else chose. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { partsOf } from '../src/log-parts.js';
import { listCall, logCalls } from '../src/logs/logs-script.js';
import { plannedSources } from '../src/logs/planned-sources.js';
import type { LogQuery, LogSource, StationDriver } from '../src/port.js';
import { gateFor } from '../src/privileges/for-entry.js';
import { quoteArgv } from '../src/transports/ssh/quote.js';
import { codesOf, logDriver, logEntry, readLog, readSource } from './log-station.js';
import { endProcessesOf } from './stage.js';

const { signal } = new AbortController();
t.setTimeout(900_000);

const NOON = Date.UTC(2026, 10, 29, 12);
const at = (seconds: number): Date => new Date(NOON + seconds * 1000);
const line = (seconds: number, words = ''): string => `${at(seconds).toISOString()} record ${seconds}${words}\n`;
const lines = (from: number, to: number): string => {
  let all = '';
  for (let second = from; second < to; second += 1) all += line(second);
  return all;
};

/** A file that was written last at that second. */
function put(path: string, content: string | Buffer, seconds: number): void {
  writeFileSync(path, content);
  utimesSync(path, at(seconds), at(seconds));
}
const files = (...globs: readonly string[]) => ({ files: [...globs] });
const contentOf = (parts: readonly { text: string }[]): string => parts.map((part) => part.text).join('');

/** The one source of a station whose files are opened, and not read yet. */
async function opened(t: Test, dir: string, ...globs: readonly string[]): Promise<LogSource> {
  const [source] = await logDriver(t, logEntry(dir, [files(...globs)])).openLogs({ type: 'DiagnosticsLog' }, signal);
  if (!source) throw new Error('there is no source');
  return source;
}

await t.test('rotated and packed files, oldest first, each once, exactly those of the window', async (t) => {
  const dir = t.testdir({ logs: {} });
  const log = (name: string): string => join(dir, 'logs', name);
  put(log('e.log'), lines(400, 500), 500);
  put(log('e.log.1'), lines(300, 400), 400);
  for (const [number, [tool, end]] of (
    [
      ['gzip', 'gz'],
      ['xz', 'xz'],
      ['zstd', 'zst'],
    ] as const
  ).entries()) {
    const plain = log(`e.log.${number + 2}`);
    writeFileSync(plain, lines(200 - number * 100, 300 - number * 100));
    execFileSync(tool, ['-q', plain]);
    if (end === 'zst') rmSync(plain);
    utimesSync(`${plain}.${end}`, at(300 - number * 100), at(300 - number * 100));
  }
  const all = await readLog(t, dir, files(`${log('e.log')}*`, log('*.log')));
  t.equal(contentOf(all.parts), lines(0, 500));
  t.same(
    all.parts.map(({ name, notes }) => [name, notes]),
    [
      ['e.log.4', []],
      ['e.log.3', []],
      ['e.log.2', []],
      ['e.log.1', []],
      ['e.log', []],
    ],
  );
  const part = await readLog(t, dir, files(log('e.log*')), { oldest: at(150), latest: at(450) });
  t.equal(contentOf(part.parts), lines(150, 451));
});

await t.test('a file is renamed, grows, becomes shorter or vanishes before its turn', async (t) => {
  const dir = t.testdir({ logs: {} });
  const log = (name: string): string => join(dir, 'logs', name);
  const names = ['a.log', 'b.log', 'c.log', 'd.log', 'e.log'];
  for (const name of names) put(log(name), lines(0, 20_000), 20_000);
  const source = await opened(t, dir, log('*.log'));
  const parts = 'parts' in source ? source.parts : partsOf(source);
  const found: [string, string, readonly string[]][] = [];
  for await (const part of parts) {
    if (found.length === 0) {
      // A rotation by name, a new file in its place, and what is written meanwhile.
      renameSync(log('b.log'), log('b.log.1'));
      writeFileSync(log('b.log'), line(30_000));
      appendFileSync(log('c.log'), line(30_000));
      // One that copies: what is cut off is in the copy.
      copyFileSync(log('d.log'), log('d.log.1'));
      truncateSync(log('d.log'), 0);
      rmSync(log('e.log'));
    }
    found.push([part.name, await text(part.stream), codesOf(part.notes?.() ?? [])]);
  }
  const whole = lines(0, 20_000);
  t.same(
    found.map(([name, content, codes]) => [name, content === whole, codes]),
    [
      ['a.log', true, []],
      ['b.log', true, ['rotated']],
      ['c.log', true, ['grew']],
      ['d.log', false, ['truncated']],
      ['e.log', false, ['vanished']],
      ['d.log.1', true, ['rotated', 'overlap']],
    ],
  );
});

await t.test('a file is packed from the one whose turn it is to be', async (t) => {
  const dir = t.testdir({ logs: {} });
  const log = (name: string): string => join(dir, 'logs', name);
  for (const name of ['a.log', 'b.log.1', 'c.log.1']) put(log(name), lines(0, 20_000), 20_000);
  // Two programs that pack are in the middle of it; one of them goes on, and has ended before its file is read.
  const packed = execFileSync('gzip', ['-c', log('b.log.1')]);
  for (const name of ['b.log.1.gz', 'c.log.1.gz']) put(log(name), packed.subarray(0, 1000), 20_000);
  const source = await opened(t, dir, log('*.log*'));
  const found: [string, boolean, readonly string[]][] = [];
  for await (const part of 'parts' in source ? source.parts : partsOf(source)) {
    if (found.length === 0) {
      writeFileSync(log('b.log.1.gz'), packed);
      rmSync(log('b.log.1'));
    }
    found.push([part.name, (await text(part.stream)) === lines(0, 20_000), codesOf(part.notes?.() ?? [])]);
  }
  t.same(found, [
    ['a.log', true, []],
    ['b.log.1', false, ['vanished']],
    ['c.log.1', true, []],
    ['b.log.1-2', true, ['rotated', 'overlap']],
  ]);
});

await t.test('a clock that was set back to before the window, across a rotation and for days', async (t) => {
  const dir = t.testdir({ logs: {} });
  const log = (name: string): string => join(dir, 'logs', name);
  put(log('e.log.1'), line(-100) + line(100) + line(110), 110);
  put(log('e.log'), line(-50) + line(-40) + line(150), 150);
  const days = -3 * 86_400;
  put(log('f.log.2'), line(90), 90);
  put(log('f.log.1'), line(100) + line(days), days);
  put(log('f.log'), line(days + 10), days + 10);
  const { parts } = await readLog(t, dir, files(log('*')), { oldest: at(50) });
  t.same(
    parts.map((part) => [part.name, part.text, codesOf(part.notes)]),
    [
      ['e.log.1', line(100) + line(110), []],
      ['e.log', line(-50) + line(-40) + line(150), ['clock_set_back', 'overlap']],
      ['f.log.2', line(90), []],
      ['f.log.1', line(100) + line(days), ['clock_set_back', 'overlap']],
      ['f.log', line(days + 10), ['clock_set_back', 'overlap']],
    ],
  );
  t.match(parts[1]?.notes[0]?.text, /e\.log: it begins at .*e\.log\.1 before it ends at .*; 2 records/);
});

await t.test('times without a zone at a station that is not in UTC', { skip: !hasSshd() }, async (t) => {
  const dir = t.testdir({ logs: {} });
  const sshd = await startSshd({ dir: join(dir, 'sshd'), config: ['SetEnv TZ=Europe/Berlin'] });
  t.teardown(() => sshd.stop());
  endProcessesOf(t, join(dir, 'state'));
  writeFileSync(join(dir, 'logs', 'a.log'), '2026-01-15 12:00:00 winter\n2026-07-15 12:00:00 summer\n');
  const print = { command: ['date', '+%Y-%m-%d %H:%M:%S now'] };
  const hour = 3_600_000;
  const stationWith = (...sources: NonNullable<Parameters<typeof logEntry>[1]>): StationDriver =>
    logDriver(t, { ...logEntry(dir, sources), ...overSsh(sshd) });
  const read = async (driver: StationDriver, query: Partial<LogQuery>): Promise<string> => {
    const [source] = await driver.openLogs({ type: 'DiagnosticsLog', ...query }, signal);
    return source ? contentOf(await readSource(source)) : '';
  };
  const now = { oldest: new Date(Date.now() - hour / 2), latest: new Date(Date.now() + hour / 2) };
  const commands = stationWith(print);
  t.match(await read(commands, now), / now\n$/, 'a station that has commands alone');
  t.match(await read(commands, { ...now, newest: true }), / now\n$/);
  const both = stationWith(print, files(join(dir, 'logs', '*')));
  t.match(await read(both, { ...now, sources: ['command'] }), / now\n$/);
  for (const [moment, found] of [
    [Date.UTC(2026, 0, 15, 11), /^.* winter\n$/],
    [Date.UTC(2026, 6, 15, 10), /^.* summer\n$/],
  ] as const) {
    const window = { oldest: new Date(moment), latest: new Date(moment) };
    t.match(await read(both, { ...window, sources: ['files'] }), found);
  }
});

await t.test('names of others are names, and links lead nowhere', async (t) => {
  const dir = t.testdir({ logs: {}, own: { 'secret.log': 'secret\n' } });
  const log = (name: string): string => join(dir, 'logs', name);
  const hostile = [
    'with\nend.log',
    '$(touch pwned).log',
    "quote'.log",
    '-rf.log',
    ' .log',
    'ä.log',
    '*.log',
    `${'l'.repeat(200)}.log`,
  ];
  for (const [number, name] of hostile.entries()) put(log(name), line(number), number);
  symlinkSync(join(dir, 'own', 'secret.log'), log('link.log'));
  symlinkSync(join(dir, 'own'), log('folder'));
  const { parts, notes } = await readLog(t, dir, files(log('*.log'), `${log('*')}/*.log`));
  t.same(
    contentOf(parts).split('\n').toSorted(),
    hostile
      .map((_name, number) => line(number).trim())
      .concat('')
      .toSorted(),
  );
  t.ok(parts.every(({ name }) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)));
  t.equal(new Set(parts.map(({ name }) => name.toLowerCase())).size, hostile.length);
  t.same(codesOf(notes), ['no_access', 'no_access']);
  t.match(notes[0]?.text, /link\.log/);
});

await t.test('records of EVerest: messages, security events, sessions, in its own folders', async (t) => {
  const dir = t.testdir({ ocpp: {}, sessions: { '2026-11-29T12:00:00.000Z-5f1e': {} } });
  const ocpp = (seconds: number): string =>
    `${at(seconds).toISOString()}: ChargePoint>CentralSystem StatusNotification \n[\n  2,\n  "x",\n  {\n    "timestamp": "2020-01-01T00:00:00Z",\n    "n": ${seconds}\n  }\n]\n\n`;
  const row = (seconds: number): string =>
    `<tr class="ChargePoint"> <td>${at(seconds).toISOString()}</td> <td>ChargePoint-&gt;<br>CentralSystem</td> <td><pre lang="json">[\n  ${seconds}\n]</pre></td> </tr>\n`;
  const head = '<html><head><title>EVerest OCPP log session</title>\n<style></style></head><body><table class="log">\n';
  const security = (seconds: number): string =>
    `{"techInfo":"x","timestamp":"${at(seconds).toISOString()}","type":"StartupOfTheDevice"}\n`;
  const csv = (seconds: number): string =>
    `"${at(seconds).toISOString()}","EVSE","CurrentDemandRes","<a>\n  <b/>\n</a>"\n`;
  const three = (of: (seconds: number) => string): string => of(0) + of(100) + of(200);
  put(join(dir, 'ocpp', 'libocpp_16.log.0'), ocpp(-10) + ocpp(95), 95);
  put(join(dir, 'ocpp', 'libocpp_16.log'), ocpp(100) + ocpp(200), 200);
  put(join(dir, 'ocpp', 'libocpp_16.html'), head + three(row), 200);
  put(join(dir, 'ocpp', 'libocpp_16.security.log'), three(security), 200);
  const session = join(dir, 'sessions', '2026-11-29T12:00:00.000Z-5f1e');
  put(join(session, 'incomplete-eventlog.csv'), three(csv), 200);
  put(join(session, 'incomplete-ocpp.html'), head + three(row), 200);

  const query = { oldest: at(90), latest: at(150) };
  const read = async (everest: 'ocpp' | 'security' | 'session', folder: string) =>
    (await readLog(t, dir, { everest, folder: join(dir, folder) }, query)).parts.map((part) => [
      part.name,
      part.text,
      part.notes,
    ]);
  t.same(await read('ocpp', 'ocpp'), [
    ['libocpp_16.html', head + row(100), []],
    ['libocpp_16.log.0', ocpp(95), []],
    ['libocpp_16.log', ocpp(100), []],
  ]);
  t.same(await read('security', 'ocpp'), [['libocpp_16.security.log', security(100), []]]);
  t.same(await read('session', 'sessions'), [
    ['2026-11-29T12_00_00.000Z-5f1e_incomplete-eventlog.csv', csv(100), []],
    ['2026-11-29T12_00_00.000Z-5f1e_incomplete-ocpp.html', head + row(100), []],
  ]);
});

await t.test('files without times, damaged ones, clocks that went back, lines without end', async (t) => {
  const dir = t.testdir({ logs: {} });
  const log = (name: string): string => join(dir, 'logs', name);
  put(log('plain.txt'), 'no time here\nnor here', 100);
  put(log('old.txt'), 'no time here\n', -90_000);
  put(log('back.txt'), line(100) + line(110) + line(50) + line(60), 60);
  put(log('long.txt'), `${at(100).toISOString()} ${'x'.repeat(3 * 1024 * 1024)}\n${line(101)}`, 101);
  writeFileSync(log('cut.txt'), lines(0, 3000));
  execFileSync('gzip', ['-q', log('cut.txt')]);
  truncateSync(log('cut.txt.gz'), 5000);
  utimesSync(log('cut.txt.gz'), at(3000), at(3000));
  writeFileSync(log('hurt.txt'), lines(0, 3000));
  execFileSync('gzip', ['-q', log('hurt.txt')]);
  const hurt = readFileSync(log('hurt.txt.gz'));
  put(log('hurt.txt.gz'), Buffer.concat([hurt.fill(0xff, 4000, 4100), Buffer.alloc(300_000, 'x')]), 3000);
  const { parts } = await readLog(t, dir, files(log('*.txt'), log('*.gz')), { oldest: at(0) });
  const byName = new Map(parts.map((part) => [part.name, part]));
  t.match(byName.get('plain.txt'), { text: 'no time here\nnor here', notes: [{ code: 'by_file_time' }] });
  t.notOk(byName.has('old.txt'), 'written last a day before the window');
  t.equal(byName.get('back.txt')?.text, line(100) + line(110) + line(50) + line(60));
  t.same(codesOf(byName.get('back.txt')?.notes ?? []), ['clock_set_back', 'overlap']);
  const long = byName.get('long.txt');
  t.ok(long?.text === readFileSync(log('long.txt'), 'utf8'));
  t.same(codesOf(long?.notes ?? []), []);
  t.same(codesOf(byName.get('hurt.txt')?.notes ?? []), ['truncated']);
  const cut = byName.get('cut.txt');
  t.ok(cut && cut.text.length > 10_000 && lines(0, 3000).startsWith(cut.text));
  t.same(codesOf(cut?.notes ?? []), ['truncated']);
});

await t.test('what a command prints is cut to the window; nothing anywhere is an error', async (t) => {
  const dir = t.testdir({ logs: {} });
  const print = { command: ['printf', `${line(0)}${line(10)}  more\n${line(20)}`], name: 'own' };
  const { lines: found } = await readLog(t, dir, print, { oldest: at(5), latest: at(15) });
  t.same(found, [line(10).trim(), '  more']);
  const two = { command: ['printf', `${line(10)}${line(20)}${line(-20)}${line(0)}${line(15)}`], name: 'two logs' };
  t.same(
    (await readLog(t, dir, two, { oldest: at(5) })).lines,
    [10, 20, 15].map((second) => line(second).trim()),
  );
  await t.rejects(readLog(t, dir, files(`${dir}/logs/*.log`)), { code: 'LOGS_UNAVAILABLE', message: /no such files/ });
  const usual = logDriver(t, { ...logEntry(dir, undefined), logs: { SecurityLog: [] } });
  await t.rejects(usual.openLogs({ type: 'SecurityLog' }, signal), { code: 'LOGS_UNAVAILABLE', message: /no source/ });
});

await t.test('a file and a folder that may not be read', { skip: process.getuid?.() !== 0 }, async (t) => {
  const dir = t.testdir({ logs: { 'a.log': line(0), 'b.log': line(1) } });
  chmodSync(join(dir, 'logs', 'b.log'), 0o600);
  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const run = (glob: string): string => {
    const entry = logEntry('/x', [files(glob)]);
    const [, , ...words] = listCall('/x', plannedSources(entry, 'DiagnosticsLog'));
    const script = new URL('../../station/khumbu-logs.sh', import.meta.url).pathname;
    // Only what is in /proc is open to everybody here.
    return execFileSync('sh', [
      '-c',
      `cat '${script}' | exec "$@"`,
      'sh',
      ...asNobody,
      'sh',
      '-s',
      '--',
      ...words,
    ]).toString();
  };
  mkdirSync('/tmp/khumbu-may-not', { recursive: true });
  t.teardown(() => rmSync('/tmp/khumbu-may-not', { recursive: true }));
  writeFileSync('/tmp/khumbu-may-not/a.log', 'x\n');
  chmodSync('/tmp/khumbu-may-not/a.log', 0o600);
  t.match(run('/tmp/khumbu-may-not/*.log'), / - \/tmp\/khumbu-may-not\/a\.log/);
  chmodSync('/tmp/khumbu-may-not', 0o700);
  t.match(run('/tmp/khumbu-may-not/*.log'), /@denied \d+\n\/tmp\/khumbu-may-not\n/);
});

await t.test('the gate lets the calls of its entry through, and no others', async (t) => {
  const dir = t.testdir({ logs: { 'a.log': line(0) } });
  const entry = logEntry(dir, [
    files(`${dir}/logs/*.log`),
    { journal: { units: ['everest.service'], facilities: ['auth'] } },
  ]);
  const gate = join(dir, 'gate');
  writeFileSync(gate, gateFor('gate', entry).replace('exec /bin/sh -c "$command"', 'exit 77'));
  const passes = (argv: readonly string[]): number | null => {
    try {
      execFileSync('sh', [gate], {
        env: { PATH: process.env.PATH, SSH_ORIGINAL_COMMAND: quoteArgv(argv) },
        stdio: 'pipe',
      });
      return 0;
    } catch (error) {
      return (error as { status: number | null }).status;
    }
  };
  const { stationParts } = await import('../src/station/real-driver.js');
  const { createSshPool } = await import('../src/transports/ssh/ssh-transport.js');
  const pool = createSshPool();
  t.teardown(() => pool.close());
  const { program, limits, stateDir } = stationParts(entry, pool);
  const call = (argv: readonly string[], limit = limits.logsS) =>
    program.argvOf('run', ['0f-1e', String(limit), ...argv]);
  for (const argv of logCalls(stateDir, entry)) t.equal(passes(call(argv)), 77);
  const [, files1] = logCalls(stateDir, entry);
  t.equal(passes(call([...(files1 ?? []), '/etc/shadow'])), 126);
  t.equal(passes(call((files1 ?? []).map((word) => word.replace('/logs/', '/own/')))), 126);
  const [source] = await logDriver(t, entry).openLogs({ type: 'DiagnosticsLog', sources: ['files'] }, signal);
  t.equal((source ? await readSource(source) : [])[0]?.text, line(0));
});
