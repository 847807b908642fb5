import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { COMMON_SETTINGS, loadConfig, S3_SETTINGS, WORKER_SETTINGS } from '@khumbu/shared/runtime/config';
import { CodedError, describeError, hasCode, withoutCredentials } from '@khumbu/shared/runtime/errors';
import { createMetrics, serveHealth, startHealth } from '@khumbu/shared/runtime/health';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { openStationDirectory, parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import t, { type Test as T } from 'tap';
import { Type } from 'typebox';

const CHILD = join(import.meta.dirname, 'service-child.js');

/** The promise, or an error after ten seconds; also keeps the process alive for what does not. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const problemsOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return hasCode(error, 'CONFIG_INVALID', 'STATIONS_FILE_INVALID')
      ? (error as Error).message
      : `not coded: ${String(error)}`;
  }
  return 'none';
};

void t.test('settings', async (t) => {
  const Settings = Type.Object({
    ...COMMON_SETTINGS,
    ...WORKER_SETTINGS,
    ...S3_SETTINGS,
    TOKEN: Type.String({ description: 'what opens the door' }),
    WATCH: Type.Boolean({ default: false }),
    RATIO: Type.Optional(Type.Number({ minimum: 0 })),
    HOSTS: Type.Array(Type.String({ minLength: 1 }), { default: [] }),
    PORTS: Type.Optional(Type.Array(Type.String({ pattern: '^[0-9]+$' }))),
  });

  await t.test('defaults, text made into what the schema wants, frozen', async (t) => {
    const config = loadConfig(Settings, { TOKEN: 'x', OTHER: 'ignored', REDIS_URL: '', HEALTH_PORT: '' });
    t.match(config, {
      REDIS_URL: 'redis://127.0.0.1:6379',
      KEY_PREFIX: 'khumbu',
      LOG_LEVEL: 'info',
      HEALTH_PORT: 0,
      JOB_LOCK_MS: 10_000,
      TOKEN: 'x',
      WATCH: false,
      HOSTS: [],
    });
    for (const absent of ['STATIONS_FILE', 'S3_ENDPOINT', 'RATIO', 'OTHER', 'PORTS']) t.notOk(absent in config, absent);
    t.ok(Object.isFrozen(config));

    const given = loadConfig(Settings, {
      TOKEN: '007',
      WATCH: '1',
      RATIO: '0.5',
      HOSTS: 'a.example, *.b.example',
      HEALTH_PORT: '8081',
      PORTS: '1,22',
    });
    t.match(given, {
      TOKEN: '007',
      WATCH: true,
      RATIO: 0.5,
      HOSTS: ['a.example', '*.b.example'],
      HEALTH_PORT: 8081,
      PORTS: ['1', '22'],
    });
    for (const [text, value] of Object.entries({ true: true, false: false, '1': true, '0': false }))
      t.equal(loadConfig(Settings, { TOKEN: 'x', WATCH: text }).WATCH, value, text);
  });

  await t.test('every wrong one is named, none repeated', async (t) => {
    const wrong = {
      KEY_PREFIX: 'sec:ret',
      LOG_LEVEL: 'secret',
      HEALTH_PORT: 'secret',
      JOB_LOCK_MS: '999',
      S3_ENDPOINT: 'secret.example',
      WATCH: 'secret',
      RATIO: '-1e5secret',
      PORTS: '1,secret',
    };
    const message = problemsOf(() => loadConfig(Settings, wrong));
    for (const name of [...Object.keys(wrong), 'TOKEN']) t.match(message, new RegExp(`(^|; )${name} `), name);
    t.notMatch(message, /secret|sec:ret|999/);
    t.match(message, /TOKEN is missing: what opens the door/);
  });

  for (const [name, text] of [
    ['HEALTH_PORT', '65536'],
    ['HEALTH_PORT', '-1'],
    ['HEALTH_PORT', '80.5'],
    ['HEALTH_PORT', '0x50'],
    ['HEALTH_PORT', ' 80'],
    ['WATCH', 'yes'],
    ['WATCH', 'TRUE'],
  ] as const)
    t.match(
      problemsOf(() => loadConfig(Settings, { TOKEN: 'x', [name]: text })),
      new RegExp(`^${name} `),
      `${name}=${text}`,
    );
});

void t.test('what errors say', async (t) => {
  const urls: [string, string][] = [
    ['http://host/a.bin', 'http://host/a.bin'],
    ['http://user:pass@host:80/a.bin?sig=1#f', 'http://host:80/a.bin'],
    ['HTTPS://token@host', 'HTTPS://host'],
    ['redis://:p@127.0.0.1:6379/0', 'redis://127.0.0.1:6379/0'],
    ['ftp://user:p@ss@host/x', 'ftp://host/x'],
    ["ftp://user:it's@host/x", 'ftp://host/x'],
    ['ftp://user:a"b<c>@host/x', 'ftp://host/x'],
    ['ftp://u:a;b=c,d!$&()*+%2F@host/x', 'ftp://host/x'],
    ['http://host/dir@v2/a.bin', 'http://host/dir@v2/a.bin'],
    ['http://[::1]:9000/b?X-Amz-Signature=abc', 'http://[::1]:9000/b'],
    ['get "http://u:p@h/x?k=1" failed', 'get "http://h/x" failed'],
    ['from http://a:b@c/1?x to https://d:e@f/2?y, done', 'from http://c/1 to https://f/2 done'],
    ['s3://bucket/key', 's3://bucket/key'],
    ['no url: a@b?c#d', 'no url: a@b?c#d'],
    ['', ''],
  ];
  for (const [text, wanted] of urls) t.equal(withoutCredentials(text), wanted, text);

  t.equal(describeError(new Error('cannot reach http://u:p@h/')), 'cannot reach http://h/');
  t.equal(describeError('http://u:p@h/'), 'http://h/');
  t.equal(describeError(undefined), 'undefined');
  const both = new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]);
  t.equal(describeError(both), 'refused ::1; refused 127.0.0.1', 'what Node says when a name has two addresses');
  t.equal(describeError(Object.assign(new Error(''), { code: 'ECONNRESET' })), 'ECONNRESET');

  t.ok(hasCode(new CodedError('A', 'x'), 'B', 'A'));
  t.notOk(hasCode({ code: 'A' }, 'A'));
});

void t.test('log lines keep secrets to themselves', async (t) => {
  const lines: string[] = [];
  const log = createLogger('x', 'info', { write: (line) => void lines.push(line) });
  const error = new CodedError('E', 'cannot reach http://u:hunter2@h/', { cause: new Error('hunter2') });
  log.error(
    {
      err: error,
      password: 'hunter2',
      request: { apn_password: 'hunter2', sim_pin: 'hunter2', vpn: { key: 'hunter2' } },
    },
    'x',
  );
  t.match(JSON.parse(lines[0] ?? ''), { service: 'x', err: { code: 'E', message: 'cannot reach http://h/' } });
  t.notMatch(lines[0], /hunter2/);
});

void t.test('the stations file', async (t) => {
  const profileOf = (text: string, station: string) => profileFrom(parseStationsFile(text), station);
  const DEFAULTS = {
    driver: 'simulated',
    dialect: 'unknown',
    ocpp: true,
    announce: true,
    requireSignature: false,
    certificate: 'any',
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
  7: {dialect: ocpp1.6, ocpp: false, announce: false, settle_ms: 9, simulated: {install_ms: 1}, interfaces: {Any: eth0}}
`;
  t.match(profileOf(file, '7'), {
    dialect: 'ocpp1.6',
    ocpp: false,
    announce: false,
    requireSignature: true,
    settleMs: 9,
    interfaces: { Any: 'eth0' },
    simulated: { install_ms: 1, reboot_ms: 6 },
  });
  t.match(profileOf(file, 'other'), { dialect: 'ocpp2.x', requireSignature: true, simulated: { install_ms: 5 } });

  const bad: [string, RegExp][] = [
    ['stations: [', /stations file/],
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

void t.test('a service', async (t) => {
  interface Service {
    readonly child: ChildProcess;
    readonly lines: string[];
    readonly errors: () => string;
    readonly said: (text: string) => Promise<void>;
    readonly ended: Promise<unknown>;
  }
  const start = (t: T, scenario: string, env: Record<string, string> = {}): Service => {
    const child = fork(CHILD, { env: { ...process.env, SCENARIO: scenario, ...env }, silent: true });
    t.teardown(() => child.kill('SIGKILL'));
    let out = '';
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    // After `disconnect` Node tells of the exit, but not that everything is closed.
    const ended = Promise.all([
      once(child, 'exit'),
      ...[child.stdout, child.stderr].map((stream) => stream && once(stream, 'close')),
    ]).then(([exit]) => exit);
    const lines: string[] = [];
    let heard = (): void => undefined;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      lines.splice(0, Infinity, ...out.split('\n').filter(Boolean));
      heard();
    });
    const said = async (text: string): Promise<void> => {
      while (!lines.includes(text)) {
        await soon(
          new Promise<void>((resolve) => {
            heard = resolve;
          }),
          text,
        );
      }
    };
    return { child, lines, errors: () => errors, said, ended: soon(ended, 'the end of the child') };
  };
  const STOPPED = ['stop third', 'stop second', 'stop first'];

  await t.test('tells its parent, and stops in the reverse order of its start', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { child, lines, ended } = start(t, '');
      t.same(await once(child, 'message'), [{ ready: true }, undefined]);
      child.kill(signal);
      t.same(await ended, [0, null], signal);
      t.same(
        lines.filter((line) => line.startsWith('stop')),
        STOPPED,
      );
    }
  });

  await t.test('stops the rest when one part does not stop in order', async (t) => {
    const { child, lines, ended, said } = start(t, 'bad-stop');
    await said('started');
    child.kill('SIGTERM');
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('ends at once on a second signal', async (t) => {
    const { child, said, ended } = start(t, 'hang');
    await said('started');
    child.kill('SIGTERM');
    await said('stop third');
    child.kill('SIGTERM');
    t.same(await ended, [1, null]);
  });

  await t.test('stops when its parent is gone', async (t) => {
    const { child, lines, said, ended } = start(t, '');
    await said('started');
    child.disconnect();
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('still stops in order when its parent goes right after asking it to', async (t) => {
    const { child, lines, said, ended } = start(t, '');
    await said('started');
    child.kill('SIGTERM');
    child.disconnect();
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('does not let go of everything when something fails while it stops', async (t) => {
    const { child, lines, said, ended } = start(t, 'rejects-while-stopping');
    await said('started');
    child.kill('SIGTERM');
    t.same(await ended, [1, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('stops in order after a surprise, with exit code 1', async (t) => {
    const { lines, ended } = start(t, 'throws-later');
    t.same(await ended, [1, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('says in one line why it does not start', async (t) => {
    const config = start(t, 'bad-config');
    t.same(await config.ended, [1, null]);
    t.equal(config.errors(), 'REDIS_URL is missing: redis://h/\n');

    const failed = start(t, 'bad-start', { LOG_LEVEL: 'info' });
    t.same(await failed.ended, [1, null]);
    t.equal(failed.lines.filter((line) => line.includes('cannot start')).length, 1);
    t.same(
      failed.lines.filter((line) => line.startsWith('stop')),
      STOPPED,
    );

    const silent = start(t, 'no-log');
    t.same(await silent.ended, [1, null]);
    t.equal(silent.errors(), 'no log to be had\n');
  });

  await t.test('a log level nobody knows is for the settings to report', async (t) => {
    for (const level of ['verbose', '']) {
      const { said, ended, child } = start(t, '', { LOG_LEVEL: level });
      await said('started');
      child.kill('SIGTERM');
      t.same(await ended, [0, null], JSON.stringify(level));
    }
  });
});

void t.test('the health server', async (t) => {
  let fails = true;
  let hangs = false;
  const asked = { times: 0 };
  const health = startHealth({
    redis: async () => {
      asked.times += 1;
      if (hangs) return new Promise<void>(() => undefined);
      if (fails) throw new Error('redis://u:p@h/ is away');
      return undefined;
    },
    other: async () => undefined,
  });
  t.teardown(() => health.stop());
  const metrics = createMetrics();
  const server = await serveHealth(health, metrics, { host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  const ask = (path: string): Promise<{ status: number | undefined; body: string }> =>
    new Promise((resolve, reject) => {
      get({ port: server.port, host: '127.0.0.1', path }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode, body }));
      }).on('error', reject);
    });
  const readyIs = async (status: number, wanted: RegExp): Promise<void> => {
    const end = performance.now() + 5000;
    for (;;) {
      const answer = await ask('/readyz');
      if (answer.status === status && wanted.test(answer.body)) return;
      if (performance.now() > end) throw new Error(`no ${status} in time, but ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  t.match(await ask('/livez'), { status: 200, body: '{"live":true}' });
  await readyIs(503, /redis:\/\/h\/ is away/);
  fails = false;
  await readyIs(200, /"redis":"ok".*"other":"ok"/);
  hangs = true;
  await readyIs(503, /no answer in time/);
  hangs = false;
  await readyIs(200, /ok/);
  t.match(await ask('/metrics'), { status: 200, body: /process_cpu_seconds_total/ });
  t.match(await ask('/'), { status: 404 });
  const before = asked.times;
  for (let i = 0; i < 20; i++) await ask('/readyz');
  t.ok(asked.times - before <= 2, 'asking often probes nothing');
  await t.rejects(serveHealth(health, metrics, { host: '127.0.0.1', port: server.port }), { code: 'EADDRINUSE' });
});
