/** `ftp` and `ftps` against real servers: vsftpd and ProFTPD, plain, TLS by command, TLS at once. */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { startProftpd, whyNoProftpd } from '@khumbu/test-support/proftpd';
import { type FtpServer, type FtpServerOptions, startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t from 'tap';
import { createFtpTransport } from '../src/schemes/ftp/ftp.js';
import { asked, bodyOf, bytesOf, contextOf, killSessions, locationOf, never, told } from './file-transfers.js';

const dir = await mkdtemp(join(tmpdir(), 'khumbu-ftp-'));
chmodSync(dir, 0o755);
const why = (await whyNoVsftpd()) ?? (await whyNoProftpd());
const authority = await makeAuthority(join(dir, 'ca'), 'Depot');
const certificate = await authority.issue({ name: 'server', subjectAltName: 'IP:127.0.0.1,IP:::1,DNS:localhost' });
const ca = authority.certificatePem;

/** Long ago: a file that was left alone. */
const AN_HOUR_AGO = new Date(Date.now() - 3_600_000);
const PASSWORD = 'p@ss w+rd/:%';
const auth = ({ user, password }: FtpServer): string => `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;

function put(server: FtpServer, name: string, bytes: Buffer, at = AN_HOUR_AGO): void {
  const path = join(server.home, name);
  mkdirSync(join(path, '..'), { recursive: true });
  chownSync(join(path, '..'), server.id, server.id);
  writeFileSync(path, bytes);
  chownSync(path, server.id, server.id);
  utimesSync(path, at, at);
}

const kinds = [
  { name: 'plain', scheme: 'ftp', tls: {} },
  { name: 'TLS by command', scheme: 'ftps', tls: { certificate } },
  { name: 'TLS at once', scheme: 'ftps', tls: { certificate, isImplicit: true } },
] as const;
const programs: readonly [string, (options: FtpServerOptions) => Promise<FtpServer>][] = [
  ['vsftpd', startVsftpd],
  ['ProFTPD', startProftpd],
];

await t.test('files come and go', { skip: why ?? false }, async (t) => {
  for (const [program, start] of programs) {
    for (const { name, scheme, tls } of kinds) {
      const server = await start({
        dir: join(dir, `${program}-${kinds.findIndex((kind) => kind.name === name)}`),
        password: PASSWORD,
        ...tls,
      });
      t.teardown(() => server.stop());
      const at = (path: string) => locationOf(`${scheme}://${auth(server)}@127.0.0.1:${server.port}/${path}`);
      const transport = createFtpTransport(contextOf({ ca }));
      const image = randomBytes(3_000_000);
      put(server, 'fw.bin', image);

      const whole = await transport.open(at('fw.bin'), asked());
      t.match(
        whole,
        { kind: 'whole', total: image.length, validators: { etag: /^ftp:3000000:\d{14}/ } },
        `${program}, ${name}`,
      );
      t.ok((await bytesOf(whole)).equals(image), `${program}, ${name}: all bytes`);
      const validators = whole.kind === 'whole' ? whole.validators : {};

      const held = {
        offset: 1_234_567,
        validators,
        total: image.length,
        tail: image.subarray(1_234_567 - 65_536, 1_234_567),
      };
      const part = await transport.open(at('fw.bin'), asked(held));
      t.match(part, { kind: 'part', offset: 1_234_567, total: image.length }, `${program}, ${name}: gone on with`);
      t.ok((await bytesOf(part)).equals(image.subarray(1_234_567)), `${program}, ${name}: the rest`);
      const all = { offset: image.length, validators, total: image.length, tail: image.subarray(-1000) };
      t.equal(
        (await bytesOf(await transport.open(at('fw.bin'), asked(all)))).length,
        0,
        `${program}, ${name}: nothing is missing`,
      );
      t.same(
        await transport.open(at('fw.bin'), asked({ known: validators })),
        { kind: 'unchanged' },
        `${program}, ${name}`,
      );

      const other = await transport.open(at('fw.bin'), asked({ ...held, tail: randomBytes(1000) }));
      t.equal(other.kind, 'whole', `${program}, ${name}: what is held is of another content`);
      t.ok((await bytesOf(other)).equals(image));

      const archive = randomBytes(2_000_003);
      const progress: number[] = [];
      const brought = await transport.put(at('logs.tar.gz'), bodyOf(archive), {
        signal: never(),
        onProgress: (bytes) => void progress.push(bytes),
      });
      t.same(brought, { bytes: archive.length }, `${program}, ${name}: brought`);
      t.ok(readFileSync(join(server.home, 'logs.tar.gz')).equals(archive), `${program}, ${name}: all bytes`);
      t.same(
        readdirSync(server.home).filter((file) => file.endsWith('.part')),
        [],
      );
      t.equal(progress.at(-1), archive.length);
      await server.stop();
    }
  }
});
await t.test('names, folders, and what is not there', { skip: why ?? false }, async (t) => {
  for (const [program, start] of programs) {
    const server = await start({ dir: join(dir, `names-${program}`), password: PASSWORD });
    t.teardown(() => server.stop());
    const transport = createFtpTransport(contextOf());
    const base = `ftp://${auth(server)}@127.0.0.1:${server.port}`;
    const names: [path: string, file: string][] = [
      ['a/b%20c/fw+1%2B2.bin', 'a/b c/fw+1+2.bin'],
      ['a/fw?v=1&x#2.bin', 'a/fw?v=1&x#2.bin'],
      ['%20leading.bin', ' leading.bin'],
      ['-dash.bin', '-dash.bin'],
      ['%C3%BCber.bin', 'über.bin'],
      [`%2F${server.home.slice(1)}/absolute.bin`, 'absolute.bin'],
      [`/${server.home.slice(1)}/absolute.bin`, 'absolute.bin'],
      ["it's%20%5B1%5D*.bin", "it's [1]*.bin"],
    ];
    // Names are the same to both; once is enough for those that no server treats apart.
    for (const [path, file] of program === 'vsftpd' ? names : names.slice(0, 3)) {
      const bytes = randomBytes(1000);
      put(server, file, bytes);
      t.ok(
        (await bytesOf(await transport.open(locationOf(`${base}/${path}`), asked()))).equals(bytes),
        `${program}: ${path}`,
      );
      const archive = randomBytes(1000);
      await transport.put(locationOf(`${base}/${path}`), bodyOf(archive), { signal: never() });
      t.ok(readFileSync(join(server.home, file)).equals(archive), `${program}: brought to ${path}`);
    }
    put(server, 'empty.bin', Buffer.alloc(0));
    t.equal(
      (await bytesOf(await transport.open(locationOf(`${base}/empty.bin`), asked()))).length,
      0,
      `${program}: no bytes at all`,
    );
    put(server, 'secret.bin', randomBytes(10));
    chmodSync(join(server.home, 'secret.bin'), 0);
    mkdirSync(join(server.home, 'closed'), { mode: 0o555 });
    const opened = (path: string) => transport.open(locationOf(`${base}/${path}`), asked());
    const brought = (path: string) =>
      transport.put(locationOf(`${base}/${path}`), bodyOf(randomBytes(10)), { signal: never() });
    await t.rejects(opened('none.bin'), told({ reason: 'no_such_file', retryable: false }), `${program}: no file`);
    await t.rejects(opened('none/fw.bin'), told({ reason: 'no_such_file' }), `${program}: no folder`);
    await t.rejects(opened('a'), told({ reason: 'no_such_file' }), `${program}: a folder`);
    await t.rejects(opened('secret.bin'), told({ reason: 'denied' }), `${program}: no right to read`);
    await t.rejects(
      brought('none/up'),
      told({ reason: 'no_such_folder', retryable: true }),
      `${program}: no folder to bring to`,
    );
    await t.rejects(
      brought('closed/up'),
      told({ reason: 'denied', retryable: false }),
      `${program}: no right to write`,
    );
    const wrong = locationOf(`ftp://fw:wrong@127.0.0.1:${server.port}/a/x`);
    await t.rejects(
      transport.open(wrong, asked()),
      told({ reason: 'login_refused', retryable: false }),
      `${program}: a wrong password`,
    );
    await server.stop();
    await t.rejects(opened('none.bin'), told({ reason: 'connect', retryable: true }), `${program}: a closed port`);
  }
});

await t.test('IPv6, and certificates that are not trusted', { skip: why ?? false }, async (t) => {
  const image = randomBytes(100_000);
  const six = await startVsftpd({ dir: join(dir, 'six'), address: '::1', certificate });
  t.teardown(() => six.stop());
  put(six, 'fw.bin', image);
  for (const scheme of ['ftp', 'ftps']) {
    const location = locationOf(`${scheme}://fw:secret@[::1]:${six.port}/fw.bin`);
    t.ok((await bytesOf(await createFtpTransport(contextOf({ ca })).open(location, asked()))).equals(image), scheme);
    await createFtpTransport(contextOf({ ca })).put(
      locationOf(`${scheme}://fw:secret@[::1]:${six.port}/up`),
      bodyOf(image),
      { signal: never() },
    );
    t.ok(readFileSync(join(six.home, 'up')).equals(image));
  }
  const location = locationOf(`ftps://fw:secret@[::1]:${six.port}/fw.bin`);
  await t.rejects(createFtpTransport(contextOf()).open(location, asked()), told({ reason: 'tls', retryable: true }));
  t.notOk(
    (await six.commands()).slice(-2).some((line) => line.startsWith('USER')),
    'no user was sent before TLS stood',
  );
});

await t.test('a server that wants TLS, and one that has none', { skip: why ?? false }, async (t) => {
  const strict = await startVsftpd({ dir: join(dir, 'strict'), certificate, config: ['force_local_logins_ssl=YES'] });
  t.teardown(() => strict.stop());
  const plain = await startProftpd({ dir: join(dir, 'plain') });
  t.teardown(() => plain.stop());
  const transport = createFtpTransport(contextOf({ ca }));
  await t.rejects(
    transport.open(locationOf(`ftp://fw:secret@127.0.0.1:${strict.port}/x`), asked()),
    told({
      reason: 'tls_required',
      retryable: false,
    }),
  );
  await t.rejects(
    transport.open(locationOf(`ftps://fw:secret@127.0.0.1:${plain.port}/x`), asked()),
    told({ reason: 'tls' }),
  );
});

await t.test('a server that is killed in the midst', { skip: why ?? false }, async (t) => {
  for (const [program, start] of programs) {
    const config = program === 'vsftpd' ? ['local_max_rate=2000000'] : ['TransferRate RETR,STOR 2000'];
    const server = await start({ dir: join(dir, `killed-${program}`), config });
    t.teardown(() => server.stop());
    const image = randomBytes(20_000_000);
    put(server, 'fw.bin', image);
    const transport = createFtpTransport(contextOf());
    const at = (path: string) => locationOf(`ftp://fw:secret@127.0.0.1:${server.port}/${path}`);
    const opened = await transport.open(at('fw.bin'), asked());
    if (opened.kind !== 'whole') throw new Error('not whole');
    let kept = Buffer.alloc(0);
    let killed = false;
    await t.rejects(
      opened.readBody((piece) => {
        kept = Buffer.concat([kept, piece]);
        if (!killed) killSessions(server.pid);
        killed = true;
      }),
      told({ reason: 'cut', retryable: true }),
      `${program}: a cut download`,
    );
    t.ok(
      kept.length > 0 && kept.length < image.length && image.subarray(0, kept.length).equals(kept),
      `${program}: what came is of it`,
    );
    let isUp = false;
    await t.rejects(
      transport.put(at('up'), bodyOf(image), {
        signal: never(),
        onProgress: () => {
          if (!isUp) killSessions(server.pid);
          isUp = true;
        },
      }),
      told({ reason: 'connection', retryable: true }),
      `${program}: a cut upload`,
    );
    t.notOk(readdirSync(server.home).includes('up'), `${program}: a half is not taken for the whole`);
    const aborter = new AbortController();
    const begun = performance.now();
    const work = transport.put(at('up'), bodyOf(image), {
      signal: aborter.signal,
      onProgress: () => aborter.abort(new Error('enough')),
    });
    await t.rejects(work, { message: 'enough' });
    t.ok(performance.now() - begun < 25_000, `${program}: an upload is given up at once`);
    t.notOk(readdirSync(server.home).includes('up'));
    await server.stop();
  }
});

t.teardown(() => rm(dir, { recursive: true, force: true }));
