/** What a station sends is chosen by whoever has it. Whatever it is: what comes out is short, plain, and comes soon. */
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { readableText } from '@khumbu/shared/runtime/readable-text';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { makeSshHostKey } from '@khumbu/test-support/ssh-host-key';
import { makeKey } from '@khumbu/test-support/sshd';
import ssh2 from 'ssh2';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { bytesOf } from '../src/log-parts.js';
import type { StationDriver } from '../src/port.js';
import { effectOf, readClockText, readEvidence, readInstall, readLines } from '../src/station/protocol.js';
import { withoutSecretsOf } from '../src/station/quoted-secrets.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { readSections } from '../src/station/station-program.js';
import { shownHostKey } from '../src/transports/ssh/shown-host-key.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { endProcessesOf } from './stage.js';
import { makeStandIn } from './stand-in.js';

const { signal } = new AbortController();
t.setTimeout(900_000);

const ESCAPES = '\u001b[2J\u001b]0;root@gateway\u0007\u009b31m';
const TURNED = 'ok\u202efdp.exe\u2066\u200b\ufeff';
const A = 'a'.repeat(64);

/** What reaches people and records: a terminal shows it as it is, JSON and UTF-8 carry it. */
const isPlain = (text: string): boolean =>
  !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text) && text.length < 800 && Buffer.from(text).toString('utf8') === text;

await t.test('texts', (t) => {
  const cases: readonly (readonly [Buffer | string, string])[] = [
    [`a${ESCAPES}b`, 'a [2J ]0;root@gateway 31mb'],
    [TURNED, 'ok fdp.exe'],
    ['a\r\n\u2028b\u0000c', 'a b c'],
    ['\ud800x\udc00', 'x'],
    [Buffer.from([0x61, 0xff, 0xc3, 0x28, 0xf0, 0x9f]), 'a\ufffd\ufffd(\ufffd'],
    [Buffer.from([0xed, 0xa0, 0x80]), '\ufffd\ufffd\ufffd'],
    ['\u001b'.repeat(100_000), ''],
    [`${'x'.repeat(499)}\u{1f600}`, 'x'.repeat(499)],
    ['Grüße ©', 'Grüße ©'],
  ];
  for (const [said, read] of cases) t.equal(readableText(said), read);
  t.end();
});

await t.test('evidence', (t) => {
  const good = '"boot_id": "x", "healthy": true';
  const read: readonly (readonly [string, object])[] = [
    [`{${good}, "boot_id": "y"}`, { bootId: 'y', healthy: true }],
    [`{"__proto__": {"version": "9", "slot": "B"}, ${good}}`, { bootId: 'x', healthy: true }],
    [`{"constructor": {"prototype": {"slot": "B"}}, ${good}}`, { bootId: 'x', healthy: true }],
    [`{${good}, "version": ${'[['.repeat(5000)}${']]'.repeat(5000)}}`, { bootId: 'x', healthy: true }],
    [`{${good}, "version": 1e999, "slot": ${'9'.repeat(10_000)}}`, { bootId: 'x', healthy: true }],
    [`{${good}, "version": "${'v'.repeat(50_000)}"}`, { bootId: 'x', healthy: true, version: 'v'.repeat(200) }],
    [`{${good}, "slot": "\\ud800A\\u001b[1m", "version": "\\u202e"}`, { bootId: 'x', healthy: true, slot: 'A [1m' }],
  ];
  for (const [said, evidence] of read) t.same(readEvidence(said), evidence, said.slice(0, 60));
  t.notOk('slot' in {}, 'nothing of it became a property of every object');
  const refused = [
    '{"__proto__": {"boot_id": "x", "healthy": true}}',
    `{${good}, "healthy": "true"}`,
    `{"boot_id": "\\u001b", "healthy": true}`,
    `{${good}, "running_sha256": "${A}\\n"}`,
    `${'{"a":'.repeat(20_000)}`,
    `\ufeff{${good}}`,
    `{${good}} {${good}}`,
  ];
  for (const said of refused) t.throws(() => readEvidence(said), { code: 'STATION_UNREACHABLE' }, said.slice(0, 60));
  t.end();
});

await t.test('lines, ends, installs, clocks', (t) => {
  const lines = (text: string) => readLines(Buffer.from(text));
  t.same(lines(`{"progress": 1e999}\n{"progress": -1}\n{"progress": "50"}\n{"progress": null}\n`), {});
  t.same(lines(`{"__proto__": {"message": "m"}}\n{"progress": 7, "progress": 8}\n`), { progress: 8 });
  t.same(lines(`{"address": "${ESCAPES}"}\n{"message": 5}`.replaceAll('\u001b', '\\u001b').replace('\u0007', '')), {});
  for (const address of ['10.0.0.7', '2001:db8::7', 'fe80::1%wwan0', 'wwan0', 'Wireless0', 'eth0.10', 'eth0:1'])
    t.same(lines(JSON.stringify({ address })), { address });
  for (const address of ['password=hush', 'https://a:b@host', '00:11:22:33:44:55', '10.0.0.7/24', '1.2.3.4%a%b', '', 7])
    t.same(lines(JSON.stringify({ address })), {}, String(address));
  const failed = effectOf('install', {
    state: `ended \u001b[2J${'9'.repeat(5000)} 1`,
    out: Buffer.alloc(0),
    err: Buffer.alloc(0),
    limitS: 1,
  });
  t.ok('message' in failed && isPlain(failed.message) && failed.message.length < 60);
  const install = (line: string) => readInstall(Buffer.from(`${line}\n`));
  t.match(install(`op-1 ${A} yes boot 1700000000`), { operationId: 'op-1' });
  for (const line of [
    `op-1 ${A} yes boot never`,
    `op-1 ${A} yes boot 1e300`,
    `op-1 ${A} maybe boot 1`,
    `op-1 zz yes boot 1`,
    `\u001b[2J ${A} yes boot 1`,
    `${'o'.repeat(1000)} ${A} yes boot 1`,
  ])
    t.equal(install(line), undefined, line.slice(0, 40));
  for (const text of ['1e9', '-5', '0x10', '9'.repeat(13), 'NaN', '', '\u0661\u0662'])
    t.throws(() => readClockText(Buffer.from(text)), { code: 'STATION_UNREACHABLE' }, text);
  t.end();
});

await t.test('a hundred thousand sections are read in their time', (t) => {
  const since = performance.now();
  t.equal(readSections(Buffer.from('@a 0\n\n'.repeat(170_000))).get('a')?.length, 170_000);
  // It was minutes when each was copied for the next.
  t.ok(performance.now() - since < 10_000);
  for (const bad of ['@__proto__ 1\nx\n', '@a 99999999\nx\n', '@a 1e3\nx\n', '@A 1\nx\n', '@a 1 \nx\n'])
    t.throws(() => readSections(Buffer.from(bad)), { code: 'STATION_FAILED' }, bad);
  t.end();
});

await t.test('secrets that are quoted', (t) => {
  const request = { apn: { apn: 'internet', apn_password: 'hu"sh', sim_pin: 1234 }, vpn: { key: 'k.*y', user: 'me' } };
  t.equal(
    withoutSecretsOf(request, 'me: hu"sh, {"p":"hu\\"sh"}, pin 1234, k.*y at internet'),
    'me: ***, {"p":"***"}, pin ***, *** at internet',
  );
  t.equal(withoutSecretsOf(undefined, 'x'), 'x');
  t.equal(withoutSecretsOf({ vpn: { password: '' } }, 'x'), 'x');
  t.end();
});

/** Files that a station prints, from one verb or another. */
const BOMBS: Readonly<Record<string, Buffer>> = {
  escapes: Buffer.from(`${ESCAPES}\n${TURNED}\n`),
  'no utf-8': Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28, 0x0a]),
  'an endless line': Buffer.alloc(3_000_000, 'x'),
  'many lines': Buffer.from(`${'@out 5\n{"message": "\\u001b[31m"}\n'.repeat(60_000)}`),
  nested: Buffer.from(`{"address": ${'['.repeat(400_000)}`),
  'hostile JSON': Buffer.from(`{"__proto__": {"address": "x"}, "address": "\\u001b[2J\\ud800", "progress": 1e999}\n`),
};

async function setUp(t: Test) {
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const { command } = charger.entry;
  if (!command) throw new Error('the stand-in has commands');
  const driver = (change: Partial<RealDriverEntry>, verbs: Partial<typeof command> = {}): StationDriver =>
    createRealDriver(
      'gate',
      { ...charger.entry, transport: 'local', ...change, command: { ...command, ...verbs } },
      createSshPool(),
    );
  return { charger, driver };
}

/** Every text in what a call gave or threw. */
async function textsOf(calling: Promise<unknown>): Promise<readonly string[]> {
  const texts = (value: unknown): readonly string[] => {
    if (typeof value === 'string') return [value];
    if (value instanceof Error) return [value.message];
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
  };
  return texts(await calling.catch((error: unknown) => error));
}

for (const [name, bytes] of Object.entries(BOMBS))
  await t.test(`a station that prints ${name}`, async (t) => {
    const { charger, driver } = await setUp(t);
    const file = join(charger.dir, 'bomb');
    await writeFile(file, bytes);
    const says = ['cat', file];
    const fails = ['sh', '-c', `cat '${file}' >&2; cat '${file}'; exit 3`];
    const { evidence: _own, ...own } = charger.entry.command ?? { evidence: [], install: [] };
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      evidence: () => driver({}, { ...own, evidence: says }).observe(signal),
      'evidence that fails': () => driver({}, { evidence: fails }).observe(signal),
      'boot id': () => driver({ boot_id: says }).observe(signal),
      clock: () => driver({ read_clock: says }).readClock(signal),
      'clock that fails': () => driver({ read_clock: fails }).readClock(signal),
      'clock that is not set': () => driver({ set_clock: fails }).setClock(new Date(), signal),
      network: () => driver({}, { network: says }).configureNetwork({ interfaceName: 'eth0' }, signal),
      'network that fails': () => driver({}, { network: fails }).configureNetwork({ interfaceName: 'eth0' }, signal),
      'logs that fail': async () => {
        const sources = await driver({}, { logs: fails }).openLogs({ type: 'DiagnosticsLog' }, signal);
        for await (const _piece of bytesOf(...sources));
      },
      install: async () => {
        const installer = driver({}, { install: fails });
        const image = await charger.image(name);
        await installer.start({ step: 'install', operationId: 'op-1', image }, signal);
        return awaitEffect(installer, 'op-1', 'install', AbortSignal.timeout(180_000));
      },
    };
    for (const [verb, call] of Object.entries(calls)) {
      const texts = await textsOf(call());
      t.same(
        texts.filter((text) => !isPlain(text)),
        [],
        verb,
      );
    }
  });

/** A driver for whatever answers at this port of loopback. */
async function driverAt(t: Test, server: { address(): unknown }, more: Partial<RealDriverEntry> = {}) {
  const dir = t.testdir({});
  const key = join(dir, 'key');
  makeKey(key);
  const { port } = server.address() as AddressInfo;
  const { publicKey: pinned } = makeSshHostKey();
  await writeFile(join(dir, 'known_hosts'), `[127.0.0.1]:${port} ${pinned}\n`);
  const pool = createSshPool();
  t.teardown(() => pool.close());
  const charger = await makeStandIn(join(dir, 'charger'));
  const entry: RealDriverEntry = {
    ...charger.entry,
    transport: 'ssh',
    host: '127.0.0.1',
    port,
    user: 'khumbu',
    private_key_file: key,
    known_hosts_file: join(dir, 'known_hosts'),
    limits: { connect_s: 3 },
    ...more,
  };
  return { dir, port, driver: createRealDriver('gate', entry, pool) };
}

await t.test('who answers at the port and is no SSH server', async (t) => {
  const greetings: Readonly<Record<string, (socket: Socket) => void>> = {
    silence: () => {},
    'escapes in its name': (socket) => socket.write(`SSH-2.0-${ESCAPES}\r\n`),
    'another protocol': (socket) => socket.end(`HTTP/1.1 400 ${ESCAPES}\r\n\r\n`),
    'a flood without a line end': (socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(Buffer.alloc(65_536, 'x')));
      };
      socket.on('drain', more);
      more();
    },
    'a packet of four gigabytes': (socket) => socket.write('SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff', 'latin1'),
  };
  for (const [name, greet] of Object.entries(greetings))
    await t.test(name, async (t) => {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        greet(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.teardown(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      const { driver, port } = await driverAt(t, server);
      const before = process.memoryUsage().rss;
      const error = await driver.observe(signal).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      t.match(error, { code: 'STATION_UNREACHABLE' });
      t.ok(error instanceof Error && isPlain(error.message), String(error));
      t.ok(process.memoryUsage().rss - before < 150e6, 'no memory for what it sends');
      const asked = { host: '127.0.0.1', port, user: 'x', knownHostsFile: '', connectMs: 3000, keepAliveMs: 3000 };
      const shown = await textsOf(shownHostKey(asked, 3000));
      t.ok(shown.length > 0 && shown.every(isPlain), 'nor is its key shown');
    });
});

await t.test('an SSH server with words of its own', async (t) => {
  const hostKey = makeSshHostKey();
  const server = new ssh2.Server({ hostKeys: [hostKey.privateKey], banner: `${ESCAPES}welcome\n` }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => context.accept());
    client.on('session', (_accept, reject) => reject());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => server.close());
  // It answers, and in this process: a handshake that stands still with it for some seconds is not given up.
  const { dir, port, driver } = await driverAt(t, server, { limits: { connect_s: 60 } });
  await writeFile(join(dir, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey.publicKey}\n`);
  const [message = ''] = await textsOf(driver.observe(signal));
  t.match(message, /Channel open failure/);
  t.ok(isPlain(message));
});
