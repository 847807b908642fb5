/** A driver of somebody else, in JavaScript: what it throws, answers and streams comes without secrets, and in its form. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import t, { type Test } from 'tap';
import { bytesOf, partsOf } from '../src/log-parts.js';
import { packagedDriver } from '../src/packaged-driver.js';
import type { LogSource, StationDriver } from '../src/port.js';

const { signal } = new AbortController();
t.setTimeout(180_000);

const PREFIX = `import { Readable } from 'node:stream';
const said = 'curl: https://user:s3cret-of-url@host/x answers 404, Authorization: Bearer eyJhbGciOi.abc';
class CodedError extends Error {
  constructor(code, message) { super(message); this.name = 'CodedError'; this.code = code; }
  get [Symbol.for('khumbu.CodedError')]() { return true; }
}
`;
const SECRETS = ['s3cret-of-url', 'eyJhbGciOi', 'hush-hush'];

let made = 0;
/** A package with this source. */
async function packageOf(t: Test, source: string): Promise<StationDriver> {
  made += 1;
  const file = join(t.testdir({}), `driver-${made}.mjs`);
  await writeFile(file, PREFIX + source);
  return packagedDriver({ station: 'gate' } as never, { package: file });
}

/** With these members. */
const driverOf = (t: Test, members: string): Promise<StationDriver> =>
  packageOf(
    t,
    `export const createStationDriver = (station) => ({
  station, capabilities: { effects: [], clock: true, network: true, logs: true }, ${members} });`,
  );

const thrownBy = async (calling: Promise<unknown>): Promise<Error & { readonly code?: unknown }> => {
  const thrown = await calling.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Error)) throw new Error('no error was thrown');
  return thrown;
};

function hidesAll(t: Test, error: Error, name: string): void {
  const text = [error.message, error.stack, String((error as { cause?: unknown }).cause)].join('\n');
  for (const secret of SECRETS) t.notOk(text.includes(secret), `${name}: ${secret} in ${text}`);
}

await t.test('what its package throws before there is a driver', async (t) => {
  const sources = {
    'while it is loaded': ['throw new Error(said);', 'DRIVER_UNUSABLE'],
    'an error of its maker': ['export const createStationDriver = () => { throw new Error(said); };', undefined],
    'a text': ['export const createStationDriver = async () => { throw said; };', undefined],
    'an error with a code': [
      `export const createStationDriver = () => { throw new CodedError('DRIVER_UNUSABLE', said); };`,
      'DRIVER_UNUSABLE',
    ],
  } as const;
  for (const [name, [source, code]] of Object.entries(sources)) {
    const error = await thrownBy((await packageOf(t, source)).observe(signal));
    t.match(error.message, /answers 404/, name);
    t.equal(error.code, code, name);
    hidesAll(t, error, name);
  }
});

await t.test('an error is of the same kind, whether or not something was taken out of it', async (t) => {
  for (const words of ['said', `'it is off'`]) {
    const driver = await driverOf(
      t,
      `readClock: async () => { throw new CodedError('STATION_UNREACHABLE', ${words}); },
  setClock: async () => { throw Object.assign(new TypeError(${words}), { code: 'ECONNRESET' }); },
  retire: async () => { throw ${words}; },
  recover: async () => { throw new AggregateError([new Error(${words}), new Error('and so on')], ''); },
  start: async () => { throw Object.assign(new Error('x'), { code: said, name: said }); },`,
    );
    const coded = await thrownBy(driver.readClock(signal));
    t.ok(coded instanceof CodedError);
    t.ok(hasCode(coded, 'STATION_UNREACHABLE'));
    const plain = await thrownBy(driver.setClock(new Date(), signal));
    t.notOk(plain instanceof CodedError);
    t.match(plain, { code: 'ECONNRESET', name: 'TypeError' });
    t.match(plain.stack, /^TypeError: .* at /);
    const text = await thrownBy(driver.retire('op-1', signal));
    t.match(text.message, /answers 404|it is off/);
    const several = await thrownBy(driver.recover?.('op-1', signal) ?? Promise.resolve());
    t.match(several.message, /(answers 404.*|it is off);? and so on$/);
    const named = await thrownBy(driver.start({ step: 'reboot', operationId: 'op-1' }, signal));
    t.equal(named.code, undefined);
    for (const error of [coded, plain, text, several, named]) hidesAll(t, error, words);
  }
});

await t.test('the reason of a signal stays what it is', async (t) => {
  const driver = await driverOf(t, 'readClock: async (signal) => { signal.throwIfAborted(); },');
  const abort = new AbortController();
  const reason = new Error('the caller has left');
  abort.abort(reason);
  t.equal(await thrownBy(driver.readClock(abort.signal)), reason);
});

await t.test('what it answers', async (t) => {
  const driver = await driverOf(
    t,
    `observeEffect: async (id) => id === 'op-1' ? { state: 'failed', code: said } : { state: 'failed', code: 'verification_failed', message: said },
  observe: async () => ({ bootId: 'b', healthy: true, busy: false, version: null, slot: 7 }),
  check: async () => ({ verbs: { install: said, observe: 'can' }, latencyMs: said, freeBytes: 5, raw: said, findings: [
    { subject: said, outcome: said, text: said, remedy: said, verbs: ['install', said], more: said },
    { subject: 'space', outcome: 'ok' },
  ] }),
  configureNetwork: async ({ interfaceName }) => ({ interfaceAddress: interfaceName === 'eth0' ? said : '10.0.0.7' }),`,
  );
  t.same(await driver.observeEffect('op-1', 'install', signal), {
    state: 'failed',
    code: 'failed',
    message: 'the driver does not say why',
  });
  const effect = await driver.observeEffect('op-2', 'install', signal);
  t.match(effect, { code: 'verification_failed', message: /answers 404/ });
  t.same(await driver.observe(signal), { bootId: 'b', healthy: true, busy: false, slot: '7' });
  const check = await driver.check?.(signal);
  t.match(check, {
    verbs: { install: 'unknown', observe: 'can', reboot: 'can' },
    freeBytes: 5,
    findings: [
      { outcome: 'unknown', text: /answers 404/, verbs: ['install'] },
      { subject: 'space', outcome: 'ok', text: '', verbs: [] },
    ],
  });
  t.notOk('latencyMs' in (check ?? {}));
  const text = JSON.stringify([effect, check]);
  for (const secret of SECRETS) t.notOk(text.includes(secret), secret);
  t.same(await driver.configureNetwork({ interfaceName: 'eth0' }, signal), { interfaceAddress: 'eth0' });
  t.same(await driver.configureNetwork({ interfaceName: 'eth1' }, signal), { interfaceAddress: '10.0.0.7' });
});

await t.test('what it was given for a network is not in what it throws', async (t) => {
  const driver = await driverOf(
    t,
    `configureNetwork: async ({ apn }) => { throw new CodedError('NETWORK_FAILED', 'cannot use ' + JSON.stringify(apn)); },`,
  );
  const apn = { apn: 'internet', apn_password: 'un"likely\\xyzzy' };
  const error = await thrownBy(driver.configureNetwork({ interfaceName: 'eth0', apn }, signal));
  t.match(error, { code: 'NETWORK_FAILED', message: /cannot use .*internet/ });
  for (const secret of ['likely', 'xyzzy']) t.notOk(`${error.message}${error.stack}`.includes(secret), error.message);
});

const LOGS = `openLogs: async ({ sources: [name] }, signal) => {
    const notes = () => [{ code: 'incomplete', text: said }];
    const lines = async function* () { yield 'one\\n'; yield 'two\\n'; throw new CodedError('LOGS_UNAVAILABLE', said); };
    const stream = () => Readable.from(lines(), { objectMode: false });
    const waits = () => { const open = new Readable({ read() {} }); signal.addEventListener('abort', () => open.destroy(signal.reason)); return open; };
    const pieces = [Buffer.from('a\\n'), Buffer.from('b\\n')];
    const failing = async function* () { yield { name: 'one', stream: Readable.from(['1\\n']), notes }; throw new Error(said); };
    const within = async function* () { yield { name: 'one', stream: stream(), notes }; };
    return {
      stream: [{ name, notes, stream: stream() }],
      mixed: [{ name, stream: Readable.from(pieces), fileOf: (piece) => piece === pieces[0] ? 'A' : 'B' }],
      parts: [{ name, notes, parts: failing() }],
      within: [{ name, parts: within() }],
      waits: [{ name, stream: waits() }],
    }[name];
  },`;

await t.test('its logs: all that came before an error is there, and then what it says', async (t) => {
  const driver = await driverOf(t, LOGS);
  const open = async (name: string, until = signal): Promise<LogSource> => {
    const [source] = await driver.openLogs({ type: 'DiagnosticsLog', sources: [name] }, until);
    if (!source) throw new Error('there is one');
    return source;
  };
  for (const [name, text] of Object.entries({ stream: 'one\ntwo\n', within: 'one\ntwo\n', parts: '1\n' })) {
    const source = await open(name);
    let read = '';
    const reading = async (): Promise<void> => {
      for await (const piece of bytesOf(source)) read += piece.toString();
    };
    const error = await thrownBy(reading());
    t.equal(read, text, name);
    t.match(error.message, /answers 404/, name);
    t.equal(error.code, name === 'parts' ? undefined : 'LOGS_UNAVAILABLE', name);
    hidesAll(t, error, name);
    const notes = JSON.stringify(source.notes?.() ?? []);
    for (const secret of SECRETS) t.notOk(notes.includes(secret), notes);
  }
  for await (const { notes } of partsOf(await open('within')))
    t.notMatch(JSON.stringify(notes?.()), /s3cret|eyJ/, 'notes of a part');

  const mixed = await open('mixed');
  if (!('stream' in mixed)) throw new Error('it is one stream');
  const files: (string | undefined)[] = [];
  for await (const piece of mixed.stream as AsyncIterable<Buffer>) files.push(mixed.fileOf?.(piece));
  t.same(files, ['A', 'B'], 'pieces are the same ones');
});

await t.test('its logs end with the reason of the signal, read or not', async (t) => {
  const driver = await driverOf(t, LOGS);
  const abort = new AbortController();
  const [source] = await driver.openLogs({ type: 'DiagnosticsLog', sources: ['waits'] }, abort.signal);
  if (!source || !('stream' in source)) throw new Error('it is one stream');
  const closed = new Promise<void>((resolve) => source.stream.once('close', resolve));
  const reason = new Error('the caller has left');
  abort.abort(reason);
  await closed;
  t.equal(source.stream.errored, reason);
});
