import { createVerify, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { Redis } from 'ioredis';
import { connect, connectAsync } from 'mqtt';
import t from 'tap';
import { makeAuthority } from '../src/certificates.js';
import { startChild } from '../src/children.js';
import { awaitUntil, collector, nextEvent, within } from '../src/events.js';
import { startEverestClient } from '../src/everest-client.js';
import { makeImage, makeSigner } from '../src/firmware.js';
import { startMosquitto } from '../src/mosquitto.js';
import { type Behaviour, startOrigin } from '../src/origin.js';
import { startRedis } from '../src/redis.js';
import { startS3 } from '../src/s3.js';
import { startServer } from '../src/server.js';

await t.test('waiting ends with what came, or says what did not', async (t) => {
  const numbers = collector<number>();
  const third = numbers.awaitItem((n) => n === 3, 1000, 'a three');
  for (const n of [1, 2, 3]) numbers.push(n);
  t.equal(await third, 3);
  t.same(await numbers.awaitAll((all) => all.length >= 3, 1000, 'three numbers'), [1, 2, 3]);
  await t.rejects(
    numbers.awaitItem((n) => n === 4, 20, 'a four'),
    /in vain: a four; 3 came, at last: 1, 2, 3/,
  );
  await t.rejects(
    awaitUntil(() => false, 20, 'the moon'),
    /in vain: the moon/,
  );
  await t.rejects(within(new Promise(() => {}), 20, 'nothing'), /in vain: nothing/);
  await t.rejects(
    awaitUntil(() => new Promise<boolean>(() => {}), 20, 'an answer'),
    /in vain: an answer/,
  );
});

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

await t.test('what a test started ends, whoever is frozen, silent or left behind', async (t) => {
  await t.test('a client whose broker answers nothing any more', async (t) => {
    const server = await startMosquitto({ dir: t.testdir() });
    t.teardown(() => server.stop());
    const client = await startEverestClient({ mqttUrl: server.url, moduleId: 'm' });
    server.freeze();
    const sent = client.publishRaw('allow_firmware_installation', 'true');
    sent.catch(() => {});
    await within(client.close(), 15_000, 'the client to leave');
    await within(client.close(), 15_000, 'the client to leave once more');
    server.thaw();
  });

  await t.test('a server whose client has never spoken', async (t) => {
    const origin = await startOrigin({ tlsDir: t.testdir() });
    const silent = connectTcp(origin.port, '127.0.0.1');
    t.teardown(() => silent.destroy());
    silent.on('error', () => {});
    await nextEvent(silent, 'connect', 5000);
    await within(origin.close(), 15_000, 'the server to close');
  });

  await t.test('a process beside whose child goes on with its output', async (t) => {
    const script = `import { startChild } from ${JSON.stringify(new URL('../src/children.js', import.meta.url).href)};
      const child = await startChild('sh', ['-c', 'sleep 60 & echo $!']); await child.exited; console.log(child.stdout());`;
    const parent = await startChild(process.execPath, ['--input-type=module', '-e', script]);
    t.match(await within(parent.exited, 15_000, 'the process to end'), { code: 0 });
    const left = Number(parent.stdout());
    t.ok(isAlive(left), 'which is left alone');
    process.kill(left, 'SIGKILL');
  });

  await t.test('a server that never comes up', async (t) => {
    let pid = 0;
    const recipe = {
      command: 'sh',
      args: () => ['-c', `echo $$ >${join(t.testdir({}), 'pid')}; exec sleep 60`],
      answers: async () => {
        const text = await readFile(join(t.testdirName, 'pid'), 'utf8').catch(() => '');
        pid = Number(text);
        if (pid > 0) throw new Error('not this one');
        return false;
      },
    };
    await t.rejects(startServer(recipe, await freePort()), { message: 'not this one' });
    t.notOk(isAlive(pid));
  });
});

await t.test('Redis keeps what it accepted through SIGKILL, on the same port', async (t) => {
  const server = await startRedis({ dir: t.testdir() });
  t.teardown(() => server.stop());
  const client = new Redis(server.url);
  t.teardown(() => client.disconnect());
  client.on('error', () => {});
  await client.set('kept', 'yes');
  t.same(await client.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction']);
  const before = server.pid;
  await server.restart();
  t.not(server.pid, before);
  t.equal(await client.get('kept'), 'yes');
});

await t.test('mosquitto carries EVerest frames, and sessions through a restart if asked', async (t) => {
  const server = await startMosquitto({ dir: t.testdir(), persistence: true });
  t.teardown(() => server.stop());
  const session = {
    protocolVersion: 5,
    clientId: 'us',
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  } as const;
  const responder = await connectAsync(server.url, session);
  t.teardown(() => responder.endAsync(true));
  responder.on('error', () => {});
  const requests = collector<{ topic: string; text: string; qos: number }>();
  responder.on('message', (topic, bytes, packet) => {
    requests.push({ topic, text: bytes.toString(), qos: packet.qos });
    const replyTo = JSON.parse(bytes.toString())?.headers?.replyTo;
    if (replyTo && !topic.endsWith('/unanswered')) responder.publish(`depot/${replyTo}`, '"Accepted"', { qos: 1 });
  });
  await responder.subscribeAsync('depot/everest_api/1/system/+/e2m/#', { qos: 2 });

  const client = await startEverestClient({ mqttUrl: server.url, moduleId: 'm', prefix: 'depot/', heartbeatMs: 5000 });
  t.teardown(() => client.close());
  const { reply, ms } = await client.request('update_firmware', { request_id: 7, location: 'http://x/' });
  t.equal(reply, 'Accepted');
  t.ok(ms > 0);
  await client.request('get_boot_reason');
  const [heartbeat, update, bootReason] = requests.items;
  t.match(heartbeat, { topic: /heartbeat$/, text: '0', qos: 2 });
  t.match(
    update?.text,
    /^\{"headers":\{"replyTo":"everest_api\/1\/system\/m\/m2e\/reply\/[^"]+"\},"payload":\{"location":"http:\/\/x\/","request_id":7\}\}$/,
  );
  t.match(bootReason?.text, /^\{"headers":\{"replyTo":"[^"]+"\}\}$/);
  await t.rejects(client.request('unanswered', {}, { timeoutMs: 1 }), /a reply to unanswered/);

  const status = { firmware_update_status: 'Downloading', request_id: 7 };
  const home = 'depot/everest_api/1/system/m/m2e';
  await responder.publishAsync(`${home}/firmware_update_status`, JSON.stringify(status), { qos: 1 });
  await responder.publishAsync(`${home}/log_status`, '{"log_status":"Uploading","request_id":7}', { qos: 1 });
  await client.awaitStatus(7, 'Uploading');
  t.same(client.statusNames(7), ['Downloading', 'Uploading']);
  t.same(client.statusNames(8), []);

  await responder.endAsync();
  await client.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  await server.stop();
  await server.restart();
  const again = connect(server.url, session);
  t.teardown(() => again.endAsync(true));
  const [topic, bytes] = await nextEvent(again, 'message', 5000, (name) => String(name).endsWith('/reset'));
  t.equal(topic, 'depot/everest_api/1/system/m/e2m/reset', 'what was queued is delivered after the restart');
  t.equal(String(bytes), '{"scheduled":false,"type":"Soft"}');
});

await t.test('frames leave an empty payload out', async (t) => {
  for (const empty of [undefined, null, {}, []]) t.equal(requestFrame('r', empty), '{"headers":{"replyTo":"r"}}');
  t.equal(requestFrame('r', ''), '{"headers":{"replyTo":"r"},"payload":""}');
  t.equal(
    requestFrame('r', { b: [{ z: 1, a: 2 }], a: 'x' }),
    '{"headers":{"replyTo":"r"},"payload":{"a":"x","b":[{"a":2,"z":1}]}}',
  );
});

await t.test('S3 refuses what is not signed with its key, and fails on demand', async (t) => {
  const s3 = await startS3({ dir: t.testdir() });
  t.teardown(() => s3.stop());
  const wrong = { authorization: `AWS ${s3.accessKey}:AAAA`, date: new Date().toUTCString() };
  const refused = await fetch(`${s3.endpoint}/${s3.bucket}`, { headers: wrong });
  t.equal(refused.status, 403);
  await refused.arrayBuffer();
  s3.failWith(503, (request) => request.startsWith('GET /khumbu'));
  t.equal((await fetch(`${s3.endpoint}/khumbu`)).status, 503);
  s3.failWith(undefined);
  await s3.restart();
  // The client may still hold a connection of before.
  const ask = () => fetch(`${s3.endpoint}/khumbu`).catch(() => undefined);
  t.equal((await awaitUntil(ask, 5000, 'S3 to answer again')).status, 200, 'the bucket is there');
  t.equal(s3.requests[0], 'GET /khumbu');
});

const image = makeImage(100_000);
const body = async (url: string, headers: Record<string, string> = {}, method = 'GET') => {
  const response = await fetch(url, { headers, method, redirect: 'manual' });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
};

await t.test('an origin serves ranges, validators and failures as asked', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const url = origin.serve('/image', image.bytes);
  const whole = await body(url);
  t.equal(whole.status, 200);
  t.ok(whole.bytes.equals(image.bytes));
  const etag = whole.headers.get('etag') ?? '';
  const tail = await body(url, { range: 'bytes=99990-', 'if-range': etag });
  t.equal(tail.status, 206);
  t.equal(tail.headers.get('content-range'), 'bytes 99990-99999/100000');
  t.ok(tail.bytes.equals(image.bytes.subarray(99_990)));
  t.equal((await body(url, { range: 'bytes=5-', 'if-range': '"other"' })).status, 200);
  t.equal((await body(url, { range: 'bytes=100000-' })).status, 416);
  t.equal((await body(url, { 'if-none-match': etag })).status, 304);
  t.equal((await body(url, { 'if-modified-since': whole.headers.get('last-modified') ?? '' })).status, 304);
  t.equal((await body(url, {}, 'HEAD')).bytes.length, 0);
  t.same(origin.stats('/image'), { requests: 7, gets: 6, bodyBytes: 200_010 });
  t.equal((await body(`${origin.url}/absent`)).status, 404);

  const cases: readonly {
    name: string;
    behaviour: Behaviour;
    expect: (r: Awaited<ReturnType<typeof body>>) => boolean;
  }[] = [
    {
      name: 'status',
      behaviour: { status: 503, headers: { 'retry-after': '1' } },
      expect: (r) => r.status === 503 && r.headers.get('retry-after') === '1',
    },
    {
      name: 'redirect',
      behaviour: { redirect: '/image' },
      expect: (r) => r.status === 302 && r.headers.get('location') === '/image',
    },
    { name: 'auth', behaviour: { auth: { user: 'a', password: 'b' } }, expect: (r) => r.status === 401 },
    {
      name: 'no ranges',
      behaviour: { ranges: false },
      expect: (r) => r.status === 200 && !r.headers.has('accept-ranges'),
    },
    { name: 'weak', behaviour: { etag: 'weak' }, expect: (r) => (r.headers.get('etag') ?? '').startsWith('W/') },
    {
      name: 'none',
      behaviour: { etag: 'none', lastModified: false },
      expect: (r) => !r.headers.has('etag') && !r.headers.has('last-modified'),
    },
    {
      name: 'chunked',
      behaviour: { contentLength: false, ranges: false },
      expect: (r) => !r.headers.has('content-length') && r.bytes.length === 100_000,
    },
  ];
  const scripted = origin.serve(
    '/scripted',
    image.bytes,
    cases.map((c) => c.behaviour),
  );
  for (const { name, expect } of cases)
    t.ok(expect(await body(scripted, { range: name === 'no ranges' ? 'bytes=1-' : '' })), name);

  const flaky = origin.serve('/flaky', image.bytes, [{ cutAfterBytes: 40_000 }, {}]);
  await t.rejects(body(flaky));
  t.equal(origin.stats('/flaky').bodyBytes, 40_000);
  t.equal((await body(flaky)).bytes.length, 100_000);

  const slow = body(origin.serve('/stall', image.bytes, { stallAfterBytes: 50_000 }));
  await origin.awaitBytes('/stall', 50_000);
  t.equal(origin.stats('/stall').bodyBytes, 50_000);
  origin.release();
  t.equal((await slow).bytes.length, 100_000);
});

await t.test('an origin takes uploads and speaks HTTPS', async (t) => {
  const origin = await startOrigin({ tlsDir: t.testdir() });
  t.teardown(() => origin.close());
  t.ok(new X509Certificate(origin.caPem ?? '').checkIP('127.0.0.1'));
  await t.rejects(fetch(origin.serve('/x', image.bytes)), 'nobody trusts it by itself');

  const plain = await startOrigin();
  t.teardown(() => plain.close());
  const url = plain.receive('/logs/', [{ status: 500 }, {}]);
  const put = async (name: string) => (await fetch(`${url}${name}`, { method: 'PUT', body: 'archive' })).status;
  t.equal(await put('a.gz'), 500);
  t.equal(await put('a.gz?sig=1'), 201);
  t.match(plain.uploads.items, [
    { status: 500 },
    { path: '/logs/a.gz', url: '/logs/a.gz?sig=1', body: Buffer.from('archive') },
  ]);
});

await t.test('signatures verify, chains hold together', async (t) => {
  const dir = t.testdir();
  for (const scheme of ['rsa-pkcs1', 'ecdsa'] as const) {
    const signer = await makeSigner(dir, scheme);
    const key = new X509Certificate(signer.certificate.certificatePem).publicKey;
    t.ok(createVerify('sha256').update(image.bytes).verify(key, signer.sign(image.bytes), 'base64'), scheme);
  }
  const root = await makeAuthority(`${dir}/ca`);
  const middle = await root.issueAuthority('Middle');
  const leaf = await middle.issue({ name: 'Leaf', notAfter: new Date(Date.now() - 30_000) });
  const [r, m, l] = [root, middle, leaf].map((c) => new X509Certificate(c.certificatePem));
  t.ok(r && m && l?.checkIssued(m) && m.checkIssued(r) && l.verify(m.publicKey) && m.ca && !l.ca);
  t.ok(new Date(l?.validTo ?? '').getTime() < Date.now(), 'expired as asked');
  await middle.revoke(leaf);
  t.match(await middle.crl(), /BEGIN X509 CRL/);
  const pss = await makeSigner(dir, 'rsa-pss', await root.issue({ name: 'Pss', key: 'rsa' }));
  t.notOk(
    createVerify('sha256').update(image.bytes).verify(pss.certificate.certificatePem, pss.sign(image.bytes), 'base64'),
  );
});

await t.test('a child ends with its parent, even by SIGKILL', async (t) => {
  const script = `import { startChild } from ${JSON.stringify(new URL('../src/children.js', import.meta.url).href)};
    const child = await startChild('sleep', ['60']); console.log(child.pid); setInterval(() => {}, 1000);`;
  const parent = await startChild(process.execPath, ['--input-type=module', '-e', script]);
  const pid = Number(await awaitUntil(() => /^(\d+)\n/.exec(parent.stdout())?.[1], 10_000, 'the pid'));
  t.ok(isAlive(pid));
  await parent.end('SIGKILL');
  await awaitUntil(() => !isAlive(pid), 5000, 'the child to be gone');
});
