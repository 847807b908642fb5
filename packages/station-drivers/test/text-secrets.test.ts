/** What the programs of a station say when they fail, with secrets in it: none of them is in an error, a state, or a check. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandVerbs, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { createDriver } from '../src/create-driver.js';
import { bytesOf } from '../src/log-parts.js';
import type { StationDriver } from '../src/port.js';
import { endProcessesOf } from './stage.js';
import { makeStandIn } from './stand-in.js';

const { signal } = new AbortController();
t.setTimeout(900_000);

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const BODY = PEM.trimEnd().split('\n').slice(1, -1);

const WORDS = [
  ['curl: (22) https://user:s3cret@host/x?token=abcdef-123 answers 404', ['s3cret', 'abcdef-123']],
  ['> Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.sig', ['eyJhbGciOiJIUzI1NiJ9']],
  ['no id_tag 04A1B2C3D4E5F7 there', ['04A1B2C3D4E5F7']],
] as const;
const SECRETS = WORDS.flatMap(([, secrets]) => secrets);
const LINE = WORDS.map(([words]) => words).join('; ');

/** What is said, and what of it nobody may see. The last line alone is told of some. */
const SAID: Readonly<Record<string, readonly [text: string, secrets: readonly string[]]>> = {
  'all at once': [`Badge No. 123456 is unknown\n${LINE}\n${PEM}${LINE}\n`, ['123456', ...SECRETS, ...BODY]],
  'a key that ends nowhere': [`${LINE} cannot use\n${PEM.split('\n').slice(0, 3).join('\n')}`, [...SECRETS, ...BODY]],
  'a name and its value in two lines': [`${'.'.repeat(180)} basic_auth_password:\n  hush-hush\n`, ['hush-hush']],
};

async function setUp(t: Test) {
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const { command } = charger.entry;
  if (!command) throw new Error('the stand-in has commands');
  const driver = (change: Partial<RealDriverEntry>, verbs: Partial<CommandVerbs> = {}): StationDriver => {
    const driverEntry: RealDriverEntry = {
      ...charger.entry,
      transport: 'local',
      logs: { redact: [{ name: 'badge', expression: '^Badge No\\. (\\d{6})', group: 1 }] },
      ...change,
      command: { ...command, ...verbs },
    };
    return createDriver({ station: 'gate', simulated: {}, driverEntry } as never, {
      dataDir: charger.dir,
      redactionKey: undefined,
    });
  };
  return { charger, driver };
}

/** All that a call gave or threw, as it would be shown. */
async function shown(calling: Promise<unknown>): Promise<string> {
  const texts = (value: unknown): readonly string[] => {
    if (typeof value === 'string') return [value];
    if (value instanceof Error) return [value.message, value.stack ?? '', ...texts(value.cause)];
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
  };
  return texts(await calling.catch((error: unknown) => error)).join('\n');
}

for (const [name, [said, secrets]] of Object.entries(SAID))
  await t.test(`programs that fail with ${name} in their words`, async (t) => {
    const { charger, driver } = await setUp(t);
    const file = join(charger.dir, 'said');
    await writeFile(file, said);
    const failsBy = (code: number) => ['sh', '-c', `cat '${file}' >&2; exit ${code}`];
    const fails = failsBy(3);
    const message = join(charger.dir, 'message');
    await writeFile(message, `${JSON.stringify({ message: said })}\n`);
    const network = { interfaceName: 'eth0' };
    const image = await charger.image('next');
    const effect = async (id: string, install: readonly string[]) => {
      // One that stays busy is asked again until this is over.
      const installer = driver({ limits: { install_s: 3 } }, { install: [...install] });
      await installer.start({ step: 'install', operationId: id, image }, signal);
      return awaitEffect(installer, id, 'install', AbortSignal.timeout(180_000));
    };
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      install: () => effect('op-1', fails),
      'install of an image that is unfit': () => effect('op-2', failsBy(65)),
      'install that stays busy': () => effect('op-3', failsBy(75)),
      'install that says it by a message': () => effect('op-4', ['sh', '-c', `cat '${message}'; exit 1`]),
      reboot: async () => {
        const rebooter = driver({ reboot: fails });
        await rebooter.start({ step: 'reboot', operationId: 'op-5' }, signal);
        return awaitEffect(rebooter, 'op-5', 'reboot', AbortSignal.timeout(180_000));
      },
      restart: async () => {
        const restarter = driver({ restart_everest: fails });
        await restarter.start({ step: 'restart', operationId: 'op-6' }, signal);
        return awaitEffect(restarter, 'op-6', 'restart', AbortSignal.timeout(180_000));
      },
      evidence: () => driver({}, { evidence: fails }).observe(signal),
      'evidence with a version': async () => {
        const evidence = JSON.stringify({ boot_id: 'b', healthy: true, version: said, slot: said });
        await writeFile(join(charger.dir, 'evidence'), evidence);
        return driver({}, { evidence: ['cat', join(charger.dir, 'evidence')] }).observe(signal);
      },
      clock: () => driver({ read_clock: fails }).readClock(signal),
      'setting the clock': () => driver({ set_clock: fails }).setClock(new Date(), signal),
      'slewing the clock': async () => driver({ slew_clock: fails }).slewClock?.(10, signal),
      network: () => driver({}, { network: fails }).configureNetwork(network, signal),
      logs: async () => {
        const sources = await driver({}, { logs: fails }).openLogs({ type: 'DiagnosticsLog' }, signal);
        for await (const _piece of bytesOf(...sources));
      },
      'a check of the commands': async () =>
        driver({ read_clock: fails, boot_id: fails }, { evidence: fails }).check?.(signal),
      'a check of a station whose shell fails': async () =>
        driver({ boot_id: ['cat', file] }, { evidence: ['cat', file] }).check?.(signal),
    };
    for (const [verb, call] of Object.entries(calls)) {
      const text = await shown(call());
      t.not(text, '', `${verb} says something`);
      for (const secret of secrets) t.notOk(text.includes(secret), `${verb}: ${secret} in ${text}`);
    }
  });

await t.test('what a network was given is in nothing that is said of it, however its program ends', async (t) => {
  const { charger, driver } = await setUp(t);
  const apn = { apn: 'internet', apn_password: 'an-unlikely-word' };
  const ends = { 'as it likes': 'exit 3', 'as our own program would': 'exit 90', 'by a signal': 'kill -KILL $$' };
  for (const [name, end] of Object.entries(ends)) {
    const network = ['sh', '-c', `read -r request; echo "cannot use $request" >&2; ${end}`];
    const setup = { interfaceName: 'eth0', apn };
    const text = await shown(driver({}, { network }).configureNetwork(setup, signal));
    t.match(text, /cannot use|ended by|exit|prepare/, name);
    t.notOk(text.includes('unlikely'), `${name}: ${text}`);
  }
  const script = join(charger.dir, 'address');
  await writeFile(script, `{"address": "an-unlikely-word"}\n`);
  const quotes = driver({}, { network: ['cat', script] });
  t.same(await quotes.configureNetwork({ interfaceName: 'eth0', apn }, signal), { interfaceAddress: 'eth0' });
});

await t.test('an own expression takes its own line alone, also in what is put together', async (t) => {
  const { charger, driver } = await setUp(t);
  const file = join(charger.dir, 'said');
  await writeFile(file, 'Owner: Jane\nE: no space left\n');
  const fails = ['sh', '-c', `cat '${file}' >&2; exit 3`];
  const logs = { redact: [{ name: 'owner', expression: 'Owner: (.*)', group: 1 }] };
  const wordsOf = /Owner: (\[owner:\w{10}\]) E: no space left$/;
  const clock = await shown(driver({ logs, read_clock: fails }).readClock(signal));
  const [, pseudonym] = wordsOf.exec(clock.split('\n')[0] ?? '') ?? [];
  t.ok(pseudonym, clock);
  const check = await driver({ logs, read_clock: fails }, { evidence: fails }).check?.(signal);
  for (const subject of ['clock', 'evidence']) {
    const text = check?.findings.find((finding) => finding.subject === subject)?.text ?? '';
    t.equal(wordsOf.exec(text)?.[1], pseudonym, `${subject}: ${text}`);
  }
});

await t.test('a driver of somebody else', async (t) => {
  const { charger } = await setUp(t);
  const [said, secrets] = SAID['all at once'] ?? ['', []];
  const maker = join(charger.dir, 'driver.mjs');
  await writeFile(
    maker,
    `const said = ${JSON.stringify(said)};
const fail = async () => { throw Object.assign(new Error(said), { code: 'STATION_UNREACHABLE' }); };
export const createStationDriver = (station) => ({
  station, capabilities: { effects: ['install'], clock: true, network: true, logs: true },
  start: fail, retire: async () => { throw new Error(said); }, readClock: fail, setClock: fail, configureNetwork: fail, openLogs: fail,
  observeEffect: async () => ({ state: 'failed', code: 'failed', message: said }),
  observe: async () => ({ bootId: 'b', healthy: true, busy: false, version: said, slot: said }),
  check: async () => ({ verbs: {}, findings: [{ subject: 'x', outcome: 'missing', text: said, remedy: said, verbs: [] }] }),
});`,
  );
  const driver = createDriver({ station: 'gate', simulated: {}, driverEntry: { package: maker } } as never, {
    dataDir: charger.dir,
    redactionKey: undefined,
  });
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    start: () => driver.start({ step: 'reboot', operationId: 'op-1' }, signal),
    retire: () => driver.retire('op-1', signal),
    observeEffect: () => driver.observeEffect('op-1', 'reboot', signal),
    observe: () => driver.observe(signal),
    readClock: () => driver.readClock(signal),
    openLogs: () => driver.openLogs({ type: 'DiagnosticsLog' }, signal),
    check: async () => driver.check?.(signal),
  };
  for (const [verb, call] of Object.entries(calls)) {
    const text = await shown(call());
    t.match(text, /answers 404/, verb);
    // It has no logs in its entry, and so no expressions of its own.
    for (const secret of secrets.slice(1)) t.notOk(text.includes(secret), `${verb}: ${secret} in ${text}`);
  }
  await t.rejects(driver.readClock(signal), { code: 'STATION_UNREACHABLE' });
});
