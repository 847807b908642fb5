/** What goes wrong with FTP servers, played by one that does as it is told. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { type FtpScript, ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import t from 'tap';
import type { OpenOptions, TransferContext } from '../src/port.js';
import { passivePort } from '../src/schemes/ftp/data.js';
import { createFtpTransport } from '../src/schemes/ftp/ftp.js';
import { asked, bodyOf, bytesOf, contextOf, locationOf, never, RULES } from './file-transfers.js';

const server = await ScriptedFtp.start();
t.teardown(() => server.stop());
const SECRET = 'sesame-open';
const at = (path: string, scheme = 'ftp') => locationOf(`${scheme}://user:${SECRET}@127.0.0.1:${server.port}/${path}`);
const CONTENT = randomBytes(500_000);
const VALIDATORS = { etag: `ftp:${CONTENT.length}:20200102030405` };

function begin(script: FtpScript): void {
  server.script = script;
  server.files.clear();
  server.commands.length = 0;
  server.put('f', CONTENT);
}

const reply = (command: string, text: string): FtpScript => ({
  answer: (got) => (got === command ? text : undefined),
});
const get = async (options: Partial<OpenOptions> = {}, context: Partial<TransferContext> = {}) => {
  const opened = await createFtpTransport(contextOf(context)).open(at('f'), asked(options));
  return { opened, bytes: opened.kind === 'unchanged' ? undefined : await bytesOf(opened) };
};
const put = (context: Partial<TransferContext> = {}, signal = never()) =>
  createFtpTransport(contextOf(context)).put(at('up'), bodyOf(CONTENT), { signal });

interface Told {
  readonly reason: string;
  readonly retryable: boolean;
  readonly message: string;
}
async function failure(work: Promise<unknown>): Promise<Told> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  return error as unknown as Told;
}

await t.test('a reply is told by what it means in its moment', async (t) => {
  const rows: [direction: 'get' | 'put', script: FtpScript, reason: string, retryable: boolean][] = [
    ['get', { greeting: '421 too many users' }, 'remote_busy', true],
    ['get', { greeting: '530 not you' }, 'login_refused', false],
    ['get', reply('PASS', '530 Login incorrect.'), 'login_refused', false],
    ['put', reply('PASS', '530 Login incorrect.'), 'login_refused', false],
    ['get', reply('USER', '530 Non-anonymous sessions must use encryption.'), 'tls_required', false],
    ['put', reply('USER', '550 SSL/TLS required on the control channel'), 'tls_required', false],
    ['get', reply('PASS', '503 Use AUTH first.'), 'tls_required', false],
    ['get', reply('TYPE', '502 not implemented'), 'ftp_502', false],
    ['get', reply('RETR', '550 f: Permission denied'), 'denied', false],
    ['get', reply('RETR', '550 Failed to open file.'), 'denied', false],
    ['get', reply('RETR', '425 Cannot open data connection'), 'data_connection', true],
    ['get', reply('RETR', '450 f is being written'), 'ftp_450', true],
    ['get', reply('RETR', '451 local error'), 'ftp_451', true],
    ['get', reply('RETR', '522 SSL/TLS required on the data channel'), 'tls_required', false],
    ['get', reply('RETR', '599 whatever'), 'ftp_599', false],
    ['put', reply('STOR', '553 Could not create file.'), 'denied', false],
    ['put', reply('STOR', '550 up: No such file or directory'), 'no_such_folder', true],
    ['put', reply('STOR', '452 no space'), 'remote_full', true],
    ['put', reply('STOR', '552 quota exceeded'), 'remote_full', true],
    ['put', reply('STOR', '502 read-only server'), 'ftp_502', false],
    ['put', reply('STOR', '421 shutting down'), 'remote_busy', true],
    ['put', reply('SIZE', '502 no'), 'size_unknown', false],
    ['put', reply('SIZE', '450 busy'), 'ftp_450', true],
    ['put', { loses: 1 }, 'not_whole', true],
    ['put', { refuseAt: { bytes: 100_000, reply: '451 Failure writing to local file.' } }, 'ftp_451', true],
    ['put', { refuseAt: { bytes: 100_000, reply: '452 disk full' } }, 'remote_full', true],
  ];
  for (const [direction, script, reason, retryable] of rows) {
    begin(script);
    const told = await failure(direction === 'get' ? get() : put());
    t.match(told, { reason, retryable }, `${direction}: ${reason}`);
    t.notMatch(told.message, SECRET);
    t.notOk(server.files.has('up'), 'nothing is there under the final name');
  }
  begin({});
  const missing = await failure(createFtpTransport(contextOf()).open(at('nothing'), asked()));
  t.match(missing, { reason: 'no_such_file', retryable: false });
  begin({
    answer: (command, argument) =>
      command === 'SIZE' || command === 'RETR'
        ? '550 Failed to open file.'
        : argument === 'f'
          ? '250 a folder'
          : undefined,
  });
  t.match(await failure(get()), { reason: 'no_such_file', message: /folder/ });
  begin(reply('CWD', '550 Failed to change directory.'));
  t.match(await failure(createFtpTransport(contextOf()).open(at('a/f'), asked())), { reason: 'no_such_file' });
  t.match(await failure(createFtpTransport(contextOf()).put(at('a/f'), bodyOf(CONTENT), { signal: never() })), {
    reason: 'no_such_folder',
  });
});

await t.test('a server that quotes the password is not quoted', async (t) => {
  begin({ answer: (command) => (command === 'PASS' ? `530 "${SECRET}" is wrong for user` : undefined) });
  const told = await failure(get());
  t.match(told, { reason: 'login_refused', message: /is wrong/ });
  t.notMatch(told.message, SECRET);
  // The words of a server are cut at 200 characters.
  begin({ answer: (command) => (command === 'PASS' ? `530 ${'x'.repeat(190)}${SECRET}` : undefined) });
  t.notMatch((await failure(get())).message, SECRET.slice(0, 4));
});

await t.test('what is held is gone on with only where the server proves it', async (t) => {
  const offset = 300_000;
  const held = { offset, total: CONTENT.length, validators: VALIDATORS, tail: CONTENT.subarray(offset - 5000, offset) };
  begin({});
  const good = await get(held);
  t.match(good.opened, { kind: 'part', offset });
  t.ok(good.bytes?.equals(CONTENT.subarray(offset)));
  t.ok(server.commands.includes(`REST ${offset - 5000}`), 'the overlap is all that comes twice');

  const anew: [string, FtpScript, Partial<OpenOptions>?][] = [
    ['REST is ignored', { ignoresRest: true }],
    ['REST is not known', reply('REST', '502 no')],
    [
      'no restart after all',
      {
        answer: (command) =>
          command === 'RETR' &&
          server.commands.some((line) => line.startsWith('REST')) &&
          server.commands.filter((line) => line.startsWith('RETR')).length === 1
            ? '451 restart not possible'
            : undefined,
      },
    ],
    ['no tail is held', {}, { tail: undefined }],
    ['it was changed', {}, { validators: { etag: `ftp:${CONTENT.length}:20210102030405` } }],
    ['it has another size', {}, { total: CONTENT.length - 1 }],
    ['the held bytes are others', {}, { tail: randomBytes(5000) }],
    ['no time is told', reply('MDTM', '502 no')],
    [
      'it is too fresh to be told apart',
      reply('MDTM', `213 ${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}`),
    ],
    ['its time is in the future', reply('MDTM', '213 29991231235959')],
  ];
  for (const [what, script, more = {}] of anew) {
    begin(script);
    const { opened, bytes } = await get({ ...held, ...more });
    t.equal(opened.kind, 'whole', what);
    t.ok(bytes?.equals(CONTENT), `${what}: all of it`);
  }
  // The same beginning, the same length, the same time: only the bytes tell.
  begin({});
  const changed = Buffer.concat([CONTENT.subarray(0, offset - 1), randomBytes(CONTENT.length - offset + 1)]);
  server.put('f', changed);
  t.ok((await get(held)).bytes?.equals(changed), 'changed content of equal length and time');
});

await t.test('what is held outlives a line that breaks before it was compared', async (t) => {
  const offset = 300_000;
  const held = { offset, total: CONTENT.length, validators: VALIDATORS, tail: CONTENT.subarray(offset - 5000, offset) };
  const open = (context: Partial<TransferContext> = {}) =>
    createFtpTransport(contextOf(context)).open(at('f'), asked(held));
  begin({ cutAt: 2000 });
  t.match(await failure(open()), { reason: 'cut', retryable: true }, 'a cut is no other content');
  begin({ stallAt: 2000 });
  t.match(await failure(open({ stallMs: 2000 })), { reason: 'stalled', retryable: true }, 'nor is silence');
  t.equal(server.commands.filter((line) => line.startsWith('RETR')).length, 1, 'it is not fetched anew');
});

await t.test('what is held outlives a server that does not tell its size or time just now', async (t) => {
  const offset = 300_000;
  const held = { offset, total: CONTENT.length, validators: VALIDATORS, tail: CONTENT.subarray(offset - 5000, offset) };
  for (const command of ['SIZE', 'MDTM']) {
    begin(reply(command, '450 busy'));
    t.match(await failure(get(held)), { reason: 'ftp_450', retryable: true }, command);
    t.notOk(
      server.commands.some((line) => line.startsWith('RETR')),
      'it is not fetched anew',
    );
    t.ok((await get()).bytes?.equals(CONTENT), 'where nothing is held it need not tell');
    begin({
      answer: (got) =>
        got === command && server.commands.some((line) => line.startsWith('RETR')) ? '450 busy' : undefined,
    });
    t.match(
      await failure(get()),
      { reason: 'ftp_450', retryable: true },
      `${command} after all has come: it was not changed`,
    );
  }
});

await t.test('a control connection that was forgotten while content flowed', async (t) => {
  begin({ lastReply: '' });
  t.ok((await get({}, { stallMs: 3000 })).bytes?.equals(CONTENT), 'all bytes are all');
});

await t.test('content that is not what the server said', async (t) => {
  begin({ surplus: Buffer.from('more') });
  t.match(await failure(get()), { reason: 'content_changed', retryable: true }, 'it grew while it was read');
  begin({ onSent: () => server.put('f', randomBytes(CONTENT.length), '20220102030405') });
  t.match(await failure(get()), { reason: 'content_changed' }, 'it was replaced while it was read');
  begin({ cutAt: 200_000 });
  t.match(await failure(get()), { reason: 'cut', retryable: true }, 'a FIN without a last reply is no end');
  begin(reply('SIZE', '502 no'));
  const { opened, bytes } = await get();
  t.match(opened, { kind: 'whole', total: undefined, validators: {} });
  t.ok(bytes?.equals(CONTENT), 'a server without SIZE');
});

await t.test('a server that stands still, and a person who does not wait', async (t) => {
  begin({ stallAt: 100_000 });
  t.match(await failure(get({}, { stallMs: 300 })), { reason: 'stalled', retryable: true });
  begin({ greeting: '' });
  t.match(await failure(get({}, { stallMs: 300 })), { reason: 'stalled' });
  begin(reply('PASS', ''));
  t.match(await failure(get({}, { stallMs: 300 })), { reason: 'stalled' });
  t.match(await failure(put({ stallMs: 300 })), { reason: 'connection' });
  for (const act of ['get', 'put'] as const) {
    begin({ stallAt: 100_000 });
    const aborter = new AbortController();
    const begun = performance.now();
    if (act === 'put') server.onReceived = () => aborter.abort(new Error('enough'));
    const opened =
      act === 'get'
        ? await createFtpTransport(contextOf()).open(at('f'), asked({ signal: aborter.signal }))
        : undefined;
    const work: Promise<unknown> = opened ? bytesOf(opened) : put({}, aborter.signal);
    if (act === 'get') aborter.abort(new Error('enough'));
    await t.rejects(work, { message: 'enough' });
    t.ok(performance.now() - begun < 20_000, `${act}: at once`);
    server.onReceived = () => {};
    t.notOk(server.files.has('up'));
  }
});

await t.test('data connections lead to where the control connection leads', async (t) => {
  begin(reply('EPSV', '500 not known'));
  t.ok((await get()).bytes?.equals(CONTENT), 'PASV, with an address that is nobody’s');
  let victims = 0;
  const victim = createServer(() => {
    victims += 1;
  }).listen(0, '127.0.0.1');
  await once(victim, 'listening');
  t.teardown(() => victim.close());
  const address = victim.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  begin(reply('EPSV', `229 Entering Extended Passive Mode (|||${port}|)`));
  const policy = createLocationPolicy({ ...RULES, forbiddenHosts: [`127.0.0.1:${port}`] });
  t.match(await failure(get({}, { policy })), { reason: 'location_refused', retryable: false });
  t.match(await failure(put({ policy })), { reason: 'location_refused' });
  t.equal(victims, 0, 'no server of the depot is connected to for data');
  begin({ answer: (command) => (command === 'EPSV' || command === 'PASV' ? '500 not known' : undefined) });
  t.match(await failure(get()), { reason: 'ftp_500' }, 'no passive mode');
  begin(reply('EPSV', '229 Entering Extended Passive Mode (|||1|)'));
  t.match(await failure(get()), { reason: 'data_connection', retryable: true });
  const ports: [string, number | undefined][] = [
    ['229 Entering Extended Passive Mode (|||6446|)', 6446],
    ['229 Extended Passive Mode !!!6446!', 6446],
    ['229 (|||0|)', undefined],
    ['229 (|||70000|)', undefined],
    ['227 Entering Passive Mode (192,168,1,9,25,46).', 6446],
    ['227 192,168,1,9,0,0', undefined],
    ['227 nonsense', undefined],
    ['200 (1,2,3,4,5,6)', undefined],
  ];
  for (const [message, wanted] of ports)
    t.equal(passivePort({ code: Number(message.slice(0, 3)), message }), wanted, message);
});

await t.test('an upload has its final name only when it is whole', async (t) => {
  begin({});
  t.same(await put(), { bytes: CONTENT.length });
  t.ok(server.files.get('up')?.bytes.equals(CONTENT));
  const stored = server.commands.find((line) => line.startsWith('STOR')) ?? '';
  t.match(stored, /^STOR up\.[0-9a-f]{8}\.part$/);
  t.ok(
    server.commands.indexOf(`RNFR ${stored.slice(5)}`) > server.commands.indexOf(`SIZE ${stored.slice(5)}`),
    'measured, then renamed',
  );
  t.same([...server.files.keys()].sort(), ['f', 'up']);

  for (const command of ['RNFR', 'RNTO']) {
    begin(reply(command, '550 Permission denied.'));
    t.same(await put(), { bytes: CONTENT.length }, `${command} is refused`);
    t.ok(server.files.get('up')?.bytes.equals(CONTENT));
    t.same([...server.files.keys()].sort(), ['f', 'up'], 'and nothing else is left');
    t.equal(server.commands.filter((line) => line === 'SIZE up').length, 1, 'it was measured under its final name');
  }
  begin({
    answer: (command, argument) =>
      command === 'RNFR' || (command === 'STOR' && argument === 'up') ? '550 Permission denied.' : undefined,
  });
  server.put('up', Buffer.from('older'));
  t.match(await failure(put()), { reason: 'denied', retryable: false });
  t.equal(server.files.get('up')?.bytes.toString(), 'older', 'what was there is not touched');
});

const MARK = { name: 'operation', value: 'log-upload-1', sha256Name: 's', bytesName: 'b' };
const OWN = `up.${createHash('sha256').update(MARK.value).digest('hex').slice(0, 8)}.part`;

await t.test('what a killed try has left is removed by the next, and nothing of others', async (t) => {
  const bring = () => createFtpTransport(contextOf()).put(at('up'), bodyOf(CONTENT), { signal: never(), mark: MARK });
  const leave = (): void => {
    server.put(OWN, CONTENT.subarray(0, 1000));
    server.put('up.01234567.part', Buffer.from('of others'));
  };
  begin({});
  leave();
  t.same(await bring(), { bytes: CONTENT.length });
  t.same([...server.files.keys()].sort(), ['f', 'up', 'up.01234567.part']);
  t.ok(server.files.get('up')?.bytes.equals(CONTENT));
  t.notOk(server.commands.includes(`STOR ${OWN}`), 'who has left it may still be about to remove it');
  begin({});
  await bring();
  t.ok(server.commands.includes(`STOR ${OWN}`), 'where nothing was left');
  begin(reply('DELE', '550 Permission denied.'));
  leave();
  t.same(await bring(), { bytes: CONTENT.length }, 'one that cannot be removed is in nobody’s way');
  t.equal(server.files.get(OWN)?.bytes.length, 1000);
});

/** RNTO does not take the place of a file. `isKilled`: nothing is heard of one to a name that is free. */
const keepsTaken = (isKilled = false): FtpScript => ({
  answer: (command, argument) => {
    if (command !== 'RNTO') return undefined;
    if (server.files.has(argument)) return '550 File exists.';
    return isKilled && argument === 'up' ? '' : undefined;
  },
});

await t.test('where no file is renamed over another, the older one goes when the new one is whole', async (t) => {
  begin(keepsTaken());
  server.put('up', Buffer.from('older'));
  t.same(await put(), { bytes: CONTENT.length });
  t.ok(server.files.get('up')?.bytes.equals(CONTENT));
  t.same([...server.files.keys()].sort(), ['f', 'up']);
  t.notOk(server.commands.includes('STOR up'), 'a half is never under its final name');
  const setAside = server.commands.indexOf('RNFR up');
  t.ok(setAside > server.commands.findLastIndex((line) => /^SIZE up\..*part$/.test(line)), 'measured before');
});

const WHOLE = `up.${createHash('sha256').update(`${MARK.value} whole`).digest('hex').slice(0, 8)}.part`;

await t.test('what another worker has brought while this one was frozen is not touched', async (t) => {
  const bring = () => createFtpTransport(contextOf()).put(at('up'), bodyOf(CONTENT), { signal: never(), mark: MARK });
  const others = randomBytes(1000);
  const gone = { reason: 'not_whole', retryable: true };

  let isFrozen = true;
  begin({
    answer: (command, argument) => {
      if (command !== 'RNFR' || !isFrozen) return undefined;
      isFrozen = false;
      server.files.delete(argument);
      server.put('up', others);
      return undefined;
    },
  });
  t.match(await failure(bring()), gone, 'its own was removed');
  t.equal(server.files.get('up')?.bytes, others);
  t.same([...server.files.keys()].sort(), ['f', 'up']);

  for (const moment of ['SIZE up', 'RNFR up']) {
    const { answer: kept } = keepsTaken();
    begin({
      answer: (command, argument) => {
        if (argument === 'up' && server.commands.at(-1) === moment && server.files.delete(WHOLE))
          server.put('up', others);
        return kept?.(command, argument);
      },
    });
    server.put('up', Buffer.from('older'));
    t.match(await failure(bring()), gone, `its own was put in its place: ${moment}`);
    t.equal(server.files.get('up')?.bytes, others);
    t.same([...server.files.keys()].sort(), ['f', 'up']);
  }
});

await t.test('where nothing may be renamed, a whole under the final name may be of another worker', async (t) => {
  const others = randomBytes(CONTENT.length);
  begin({
    answer: (command, argument) => {
      if (command === 'RNFR') return '550 no';
      if (command !== 'SIZE' || argument !== 'up' || server.files.get('up')?.bytes === others) return undefined;
      server.put('up', others);
      return '421 bye';
    },
  });
  t.match(await failure(put()), { reason: 'remote_busy', retryable: true });
  t.equal(server.files.get('up')?.bytes, others);
});

await t.test('what a killed try has brought whole is not missed while the server is busy', async (t) => {
  const bring = () => createFtpTransport(contextOf()).put(at('up'), bodyOf(CONTENT), { signal: never(), mark: MARK });
  for (const command of ['SIZE', 'MLST']) {
    begin({
      answer: (got, argument) =>
        argument !== WHOLE ? undefined : got === command ? '450 busy' : got === 'SIZE' ? '502 no' : undefined,
    });
    server.put(WHOLE, CONTENT);
    t.match(await failure(bring()), { reason: 'ftp_450', retryable: true }, command);
    t.same([...server.files.keys()], ['f', WHOLE]);
  }
  server.script = {};
  t.same(await bring(), { bytes: CONTENT.length });
  t.same([...server.files.keys()].sort(), ['f', 'up'], 'nothing is left');
});

await t.test('a reply that comes line by line and never ends is given up', async (t) => {
  const endless = createServer((socket) => {
    const next = setInterval(() => socket.write('220-still starting\r\n'), 50);
    socket.on('error', () => {}).on('close', () => clearInterval(next));
  });
  await once(endless.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => endless.close());
  const { port } = endless.address() as AddressInfo;
  const location = locationOf(`ftp://user:${SECRET}@127.0.0.1:${port}/f`);
  const context = contextOf({ stallMs: 500 });
  t.match(await failure(createFtpTransport(context).open(location, asked())), { reason: 'stalled', retryable: true });
});

await t.test('a try that was killed while the older file is aside leaves what is whole to the next', async (t) => {
  const bring = (bytes: Buffer, stallMs = 30_000) =>
    createFtpTransport(contextOf({ stallMs })).put(at('up'), bodyOf(bytes), { signal: never(), mark: MARK });
  /** `isGivenUp`: whoever was killed can do no more. */
  const kill = async (isGivenUp: boolean): Promise<void> => {
    begin(keepsTaken());
    server.next = [keepsTaken(true)];
    if (isGivenUp) server.next.push({ greeting: '421 too many' });
    server.put('up', Buffer.from('older'));
    t.match(await failure(bring(CONTENT, 3000)), { reason: 'connection', retryable: true });
    t.ok(server.files.get(WHOLE)?.bytes.equals(CONTENT), 'all of it is there');
    if (isGivenUp) t.notOk(server.files.has('up'));
    else t.equal(server.files.get('up')?.bytes.toString(), 'older', 'no try may follow');
    t.equal(server.files.size, 3, 'and nothing of it is lost');
    server.commands.length = 0;
  };
  await kill(false);
  t.same(await bring(CONTENT), { bytes: CONTENT.length });
  t.same([...server.files.keys()].sort(), ['f', 'up']);
  await kill(true);
  t.same(await bring(CONTENT), { bytes: CONTENT.length });
  t.notOk(
    server.commands.some((line) => line.startsWith('STOR')),
    'it is not sent again',
  );
  t.ok(server.files.get('up')?.bytes.equals(CONTENT));
  t.same([...server.files.keys()].sort(), ['f', 'up']);

  await kill(true);
  const anew = randomBytes(CONTENT.length + 1);
  t.same(await bring(anew), { bytes: anew.length }, 'an archive that was made anew');
  t.ok(server.commands.indexOf('RNTO up') < server.commands.findIndex((line) => line.startsWith('STOR')));
  t.ok(server.files.get('up')?.bytes.equals(anew));
  t.same([...server.files.keys()].sort(), ['f', 'up']);
});

await t.test('what passes stays what passes, also while a file is renamed', async (t) => {
  for (const command of ['RNFR', 'RNTO']) {
    begin({
      answer: (got) => {
        if (got !== command) return undefined;
        const isFirst = server.commands.filter((line) => line.startsWith(command)).length === 1;
        return isFirst ? '450 busy' : '503 bad sequence';
      },
    });
    t.match(await failure(put()), { reason: 'ftp_450', retryable: true }, command);
  }
});

await t.test('a half under its final name is gone before the next try begins', async (t) => {
  for (const [size, told] of [
    ['213 1', { reason: 'not_whole' }],
    ['450 busy', { reason: 'ftp_450' }],
  ] as const) {
    begin({
      answer: (command, argument) =>
        command === 'RNFR' ? '550 no' : command === 'SIZE' && argument === 'up' ? size : undefined,
    });
    t.match(await failure(put()), told);
    t.notOk(server.files.has('up'), size);
  }
});
