/** `sftp` against a real OpenSSH server. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd, makeKey } from '@khumbu/test-support/sshd';
import t from 'tap';
import type { OpenOptions, TransferContext } from '../src/port.js';
import { createSftpTransport } from '../src/schemes/sftp/sftp.js';
import { asked, bodyOf, bytesOf, contextOf, killSessions, locationOf, never, told } from './file-transfers.js';

const skip = hasSshd() && hasAccounts() ? false : 'no sshd that knows users of its own can be started here';
if (skip) {
  t.pass(skip);
  process.exit(0);
}

const dir = await mkdtemp(join(tmpdir(), 'khumbu-sftp-'));
chmodSync(dir, 0o755);
t.teardown(() => rm(dir, { recursive: true, force: true }));
const PASSWORD = 'p@ss w+rd/:%';
const server = await startSftpServer({ dir, user: 'fw', password: PASSWORD });
t.teardown(() => server.stop());
const knownHosts = await readFile(server.knownHostsFile, 'utf8');
const privateKey = await readFile(server.privateKeyFile, 'utf8');

const AN_HOUR_AGO = new Date(Date.now() - 3_600_000);
function put(name: string, bytes: Buffer, at = AN_HOUR_AGO): void {
  const path = join(server.home, name);
  writeFileSync(path, bytes);
  chownSync(path, server.id, server.id);
  utimesSync(path, at, at);
}
const byPassword = `sftp://fw:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}`;
const byKey = `sftp://fw@127.0.0.1:${server.port}`;
const transport = (changes: Partial<TransferContext> = {}) =>
  createSftpTransport(contextOf({ knownHosts, privateKey, ...changes }));
const opened = (path: string, options: Partial<OpenOptions> = {}, changes: Partial<TransferContext> = {}) =>
  transport(changes).open(locationOf(path), asked(options));
const brought = (path: string, bytes: Buffer) => transport().put(locationOf(path), bodyOf(bytes), { signal: never() });

await t.test('files come and go, by password and by key', async (t) => {
  const image = randomBytes(5_000_001);
  put('fw.bin', image);
  for (const login of [byPassword, byKey]) {
    const whole = await opened(`${login}${server.home}/fw.bin`);
    t.match(whole, { kind: 'whole', total: image.length, validators: { etag: /^sftp:5000001:\d+$/ } });
    t.ok((await bytesOf(whole)).equals(image), 'all bytes, in order');
    t.ok((await bytesOf(await opened(`${login}/~/fw.bin`))).equals(image), 'below the home folder');
    const archive = randomBytes(3_000_003);
    t.same(await brought(`${login}/~/logs%201.tar.gz`, archive), { bytes: archive.length });
    t.ok(readFileSync(join(server.home, 'logs 1.tar.gz')).equals(archive));
  }
  t.same(
    readdirSync(server.home).filter((name) => name.endsWith('.part')),
    [],
  );
  const first = await opened(`${byKey}/~/fw.bin`);
  const validators = first.kind === 'whole' ? first.validators : {};
  if (first.kind === 'whole') first.drop();
  const offset = 2_345_678;
  const held = { offset, total: image.length, validators, tail: image.subarray(offset - 65_536, offset) };
  const part = await opened(`${byKey}/~/fw.bin`, held);
  t.match(part, { kind: 'part', offset, total: image.length });
  t.ok((await bytesOf(part)).equals(image.subarray(offset)));
  const all = { ...held, offset: image.length, tail: image.subarray(-100) };
  t.equal((await bytesOf(await opened(`${byKey}/~/fw.bin`, all))).length, 0);
  t.same(await opened(`${byKey}/~/fw.bin`, { known: validators }), { kind: 'unchanged' });

  const anew: [string, Partial<OpenOptions>][] = [
    ['no tail is held', { tail: undefined }],
    ['the held bytes are others', { tail: randomBytes(100) }],
    ['another size', { total: image.length - 1 }],
    ['another time', { validators: { etag: 'sftp:5000001:1' } }],
  ];
  for (const [what, change] of anew) {
    const again = await opened(`${byKey}/~/fw.bin`, { ...held, ...change });
    t.equal(again.kind, 'whole', what);
    t.ok((await bytesOf(again)).equals(image), what);
  }
  const changed = Buffer.concat([image.subarray(0, offset - 1), randomBytes(image.length - offset + 1)]);
  put('fw.bin', changed);
  t.ok(
    (await bytesOf(await opened(`${byKey}/~/fw.bin`, held))).equals(changed),
    'changed content of equal length and time',
  );
  put('fresh.bin', image, new Date());
  const fresh = await opened(`${byKey}/~/fresh.bin`);
  t.match(fresh, { kind: 'whole', validators: { etag: undefined } }, 'too fresh to be told apart');
  if (fresh.kind === 'whole') fresh.drop();
});

await t.test('what a killed try has left is removed by the next, and nothing of others', async (t) => {
  const mark = { name: 'operation', value: 'log-upload-1', sha256Name: 's', bytesName: 'b' };
  const hash = createHash('sha256').update(mark.value).digest('hex').slice(0, 8);
  const archive = randomBytes(100_000);
  put(`left.${hash}.part`, randomBytes(200_000));
  put('left.01234567.part', randomBytes(10));
  await transport().put(locationOf(`${byKey}/~/left`), bodyOf(archive), { signal: never(), mark });
  t.same(
    readdirSync(server.home).filter((name) => name.startsWith('left')),
    ['left', 'left.01234567.part'],
  );
  t.ok(readFileSync(join(server.home, 'left')).equals(archive));
});

await t.test('a file that is written while it is read', async (t) => {
  const cases: [string, (name: string) => void][] = [
    ['grows', (name) => writeFileSync(join(server.home, name), 'more', { flag: 'a' })],
    ['shrinks', (name) => writeFileSync(join(server.home, name), 'less')],
  ];
  for (const [what, change] of cases) {
    put('moving.bin', randomBytes(20_000_000));
    const whole = await opened(`${byKey}/~/moving.bin`);
    let isChanged = false;
    const reading =
      whole.kind === 'whole'
        ? whole.readBody(() => {
            if (!isChanged) change('moving.bin');
            isChanged = true;
          })
        : Promise.reject(new Error('not whole'));
    await t.rejects(reading, told({ reason: 'content_changed', retryable: true }), what);
  }
});

await t.test('who is not let in, and who is not trusted', async (t) => {
  put('fw.bin', randomBytes(10));
  const at = (login: string) => opened(`sftp://${login}@127.0.0.1:${server.port}/~/fw.bin`);
  await t.rejects(at('fw:wrong'), told({ reason: 'login_refused', retryable: false }));
  await t.rejects(
    opened(`${byKey}/~/fw.bin`, {}, { privateKey: undefined }),
    told({
      reason: 'login_refused',
      message: /LOCATION_PRIVATE_KEY_FILE/,
    }),
  );
  await t.rejects(
    opened(`sftp://127.0.0.1:${server.port}/~/fw.bin`),
    told({
      reason: 'login_refused',
      message: /names no user/,
    }),
  );
  makeKey(join(dir, 'other'));
  const other = await readFile(join(dir, 'other'), 'utf8');
  await t.rejects(opened(`${byKey}/~/fw.bin`, {}, { privateKey: other }), told({ reason: 'login_refused' }));
  const otherPublic = (await readFile(join(dir, 'other.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await t.rejects(
    opened(`${byPassword}/~/fw.bin`, {}, { knownHosts: '' }),
    told({
      reason: 'host_key_unknown',
      retryable: false,
      message: /LOCATION_KNOWN_HOSTS_FILE/,
    }),
  );
  const changed = `[127.0.0.1]:${server.port} ${otherPublic}\n`;
  const error = await opened(`${byPassword}/~/fw.bin`, {}, { knownHosts: changed }).catch((error: unknown) => error);
  t.match(error, { reason: 'host_key_changed', retryable: false, message: /SHA256:/ });
  t.notMatch(String((error as Error).message), PASSWORD);
  await t.rejects(
    opened(`${byKey}/~/fw.bin`, {}, { knownHosts: `@revoked ${knownHosts}${changed}` }),
    told({
      reason: 'host_key_changed',
    }),
  );
});

await t.test('what is not there, and what may not be', async (t) => {
  mkdirSync(join(server.home, 'closed'), { mode: 0o555 });
  put('secret.bin', randomBytes(10));
  chmodSync(join(server.home, 'secret.bin'), 0);
  await t.rejects(opened(`${byKey}/~/none.bin`), told({ reason: 'no_such_file', retryable: false }));
  await t.rejects(opened(`${byKey}/~/closed`), told({ reason: 'no_such_file', message: /no regular file/ }));
  await t.rejects(opened(`${byKey}/~/secret.bin`), told({ reason: 'denied' }));
  await t.rejects(brought(`${byKey}/~/none/up`, randomBytes(10)), told({ reason: 'no_such_folder', retryable: true }));
  await t.rejects(brought(`${byKey}/~/closed/up`, randomBytes(10)), told({ reason: 'denied', retryable: false }));
});

await t.test('cut and given up', async (t) => {
  const image = randomBytes(30_000_000);
  put('fw.bin', image);
  const whole = await opened(`${byKey}/~/fw.bin`);
  if (whole.kind !== 'whole') throw new Error('not whole');
  let isCut = false;
  const cut = (): void => {
    if (!isCut) killSessions(server.pid);
    isCut = true;
  };
  await t.rejects(whole.readBody(cut), told({ reason: 'cut', retryable: true }));
  isCut = false;
  await t.rejects(
    transport().put(locationOf(`${byKey}/~/up`), bodyOf(image), { signal: never(), onProgress: cut }),
    told({
      reason: 'connection',
      retryable: true,
    }),
  );
  t.notOk(readdirSync(server.home).includes('up'), 'a half is not taken for the whole');
  const aborter = new AbortController();
  const begun = performance.now();
  const giveUp = (): void => aborter.abort(new Error('enough'));
  await t.rejects(
    transport().put(locationOf(`${byKey}/~/up`), bodyOf(image), { signal: aborter.signal, onProgress: giveUp }),
    { message: 'enough' },
  );
  const second = new AbortController();
  const reading = await transport().open(locationOf(`${byKey}/~/fw.bin`), asked({ signal: second.signal }));
  await t.rejects(
    reading.kind === 'whole' ? reading.readBody(() => second.abort(new Error('enough'))) : Promise.resolve(),
    { message: 'enough' },
  );
  t.ok(performance.now() - begun < 25_000, 'at once');
  server.freeze();
  await t.rejects(opened(`${byKey}/~/fw.bin`, {}, { stallMs: 500 }), told({ reason: 'stalled' }));
  server.thaw();
});
