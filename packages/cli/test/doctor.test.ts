/** What the doctor sees of real servers and files, and what it says. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';
import { awaitUntil } from '@khumbu/test-support/events';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { rawServer } from '@khumbu/test-support/raw-server';
import { startRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { judgeClock } from '../src/doctor/checks/clock.js';
import { judgeRoom } from '../src/doctor/checks/disk.js';
import { judgeNode } from '../src/doctor/checks/program.js';
import { judgeRedis } from '../src/doctor/checks/redis.js';
import { CHECKS, runChecks } from '../src/doctor/checks.js';
import { describeFindings } from '../src/doctor/describe-findings.js';
import type { Finding } from '../src/doctor/finding.js';
import { findPlace } from '../src/doctor/place.js';
import { createSight } from '../src/doctor/real-sight.js';

t.setTimeout(900_000);
const dir = mkdtempSync(join(tmpdir(), 'khumbu-doctor-'));
const at = (name: string): string => join(dir, name);
mkdirSync(at('s3'));
const redis = await startRedis({ dir: at('redis') });
const broker = await startMosquitto({ dir: at('mosquitto') });
const s3 = await startS3({ dir: at('s3') });
t.teardown(async () => {
  await Promise.all([redis.stop(), broker.stop(), s3.stop()]);
  rmSync(dir, { recursive: true, force: true });
});
writeFileSync(at('keys.json'), JSON.stringify([{ name: 'tool', sha256: 'a'.repeat(64), scopes: ['read'] }]), {
  mode: 0o640,
});
writeFileSync(at('stations.yml'), 'stations:\n  gate-1: { driver: simulated }\n');
writeFileSync(at('secret'), 'S3RVER', { mode: 0o600 });

const SOUND = {
  REDIS_URL: redis.url,
  MQTT_URL: broker.url,
  S3_ENDPOINT: s3.endpoint,
  S3_ACCESS_KEY: s3.accessKey,
  S3_SECRET_KEY_FILE: at('secret'),
  API_KEYS_FILE: at('keys.json'),
  STATIONS_FILE: at('stations.yml'),
  SPOOL_DIR: at('spool'),
  MAX_FIRMWARE_BYTES: '1000',
  HTTP_PORT: '0',
};

/**
 * The findings, once every server has answered: the doctor gives each a few seconds, which a machine that stands still may not have.
 * None of these servers is silent.
 */
const inTime = (run: () => Promise<Finding[]>): Promise<Finding[]> => {
  let findings: Finding[] = [];
  return awaitUntil(
    async () => {
      findings = await run();
      return !findings.some(({ text }) => /timed out|timeout|no answer in time/i.test(text)) && findings;
    },
    60_000,
    () => `every server to answer in time: ${describeFindings(findings)}`,
  );
};
const look = (env: Record<string, string | undefined>, fileNames: string[] = []): Promise<Finding[]> => {
  const place = { ...findPlace({ env, fileNames, remoteUrl: undefined, isUp: false }), key: undefined };
  return inTime(() => runChecks(place, createSight(), new AbortController().signal));
};
const of = (findings: readonly Finding[], subject: string): Finding[] =>
  findings.filter((finding) => finding.subject === subject);
/** Whether that one setting is all that is wrong, with a remedy. */
async function wrongWith(t: Test, change: Record<string, string | undefined>, subject: string, text: RegExp) {
  const found = of(await look({ ...SOUND, ...change }), subject);
  const [first] = found.filter(({ outcome }) => outcome === 'wrong');
  t.match(first?.text, text, JSON.stringify(found));
  t.ok(first?.remedy, 'it says the fix');
}

await t.test('what one check may not see hides nothing of the others', async (t) => {
  const place = { ...findPlace({ env: SOUND, fileNames: [], remoteUrl: undefined, isUp: false }), key: undefined };
  const refused = (): never => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  };
  const sight = { ...createSight(), fileAt: refused };
  const findings = await inTime(() => runChecks(place, sight, new AbortController().signal));
  const unseen = findings.filter(({ outcome }) => outcome === 'unknown');
  t.ok(unseen.length > 0);
  for (const { text } of unseen) t.match(text, /could not be looked at: .*EACCES/);
  t.match(of(findings, 'redis'), [{ outcome: 'ok' }]);
});

await t.test('a sound installation that does not run', async (t) => {
  const findings = await look(SOUND);
  for (const subject of ['node', 'settings', 'redis', 'store', 'ports', 'disk', 'keys', 'secrets', 'stations'])
    t.same(
      of(findings, subject).map(({ outcome }) => outcome),
      ['ok'],
      describeFindings(of(findings, subject)),
    );
  t.match(of(findings, 'broker')[0], { outcome: 'warning', text: /without a user/ });
  t.match(of(findings, 'gateway')[0], { outcome: 'wrong', text: /no gateway answers/ });
  const known = new Set(CHECKS.map(({ subject }) => subject));
  t.ok(findings.every(({ subject }) => known.has(subject)));
});

await t.test('Redis: away, a password, as it must not be', async (t) => {
  await wrongWith(t, { REDIS_URL: 'redis://127.0.0.1:1' }, 'redis', /away: .*ECONNREFUSED/);
  const admin = new Redis(redis.url);
  t.teardown(() => admin.disconnect());
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await wrongWith(t, {}, 'redis', /allkeys-lru/);
  await admin.config('SET', 'maxmemory-policy', 'noeviction');
  await admin.config('SET', 'appendfsync', 'everysec');
  t.match(of(await look(SOUND), 'redis')[0], { outcome: 'warning', text: /everysec/, remedy: /always/ });
  await admin.config('SET', 'appendonly', 'no');
  await wrongWith(t, {}, 'redis', /append-only file is off/);
  await admin.config('SET', 'appendonly', 'yes');
  await admin.config('SET', 'appendfsync', 'always');
  await admin.config('SET', 'requirepass', 'gate');
  await wrongWith(t, {}, 'redis', /NOAUTH/);
  t.same(
    of(await look({ ...SOUND, REDIS_URL: redis.url.replace('://', '://:gate@') }), 'redis').map(
      ({ outcome }) => outcome,
    ),
    ['ok'],
  );
  await admin.config('SET', 'requirepass', '');
});

await t.test('Redis by what it says', async (t) => {
  const info = { redis_version: '7.0.15', aof_enabled: '1', maxmemory_policy: 'noeviction', role: 'master' };
  const texts = (more: Record<string, string>) =>
    judgeRedis({ info: { ...info, ...more }, appendfsync: 'always', clockOffsetMs: 0 })
      .map(({ text }) => text)
      .join();
  t.match(texts({}), 'every write is synced');
  t.match(texts({ redis_version: '6.0.16' }), 'too old');
  t.match(texts({ role: 'slave' }), 'replica');
  t.match(texts({ cluster_enabled: '1' }), 'Cluster');
  t.match(texts({ loading: '1' }), 'loading');
  t.match(texts({ aof_last_write_status: 'err' }), 'could not write');
  t.match(texts({ maxmemory: '1000', used_memory: '950' }), 'nine tenths');
});

await t.test('the broker: away, old, with users, small', async (t) => {
  await wrongWith(t, { MQTT_URL: 'mqtt://127.0.0.1:1' }, 'broker', /away: .*ECONNREFUSED/);
  // MQTT 3.1.1, 3.1.2.2: return code 1 for a protocol level that is not supported.
  const old = await rawServer(t, (socket) => void socket.write(Buffer.from([0x20, 0x02, 0x00, 0x01])));
  await wrongWith(t, { MQTT_URL: `mqtt://127.0.0.1:${old}` }, 'broker', /3\.1\.1, and not MQTT 5/);
  const silent = await rawServer(t, (socket) => socket.destroy());
  await wrongWith(t, { MQTT_URL: `mqtt://127.0.0.1:${silent}` }, 'broker', /away/);
  const passwords = at('passwords');
  writeFileSync(passwords, '', { mode: 0o600 });
  const config = ['allow_anonymous false', `password_file ${passwords}`];
  const closed = await startMosquitto({ dir: at('closed'), config });
  t.teardown(() => closed.stop());
  await wrongWith(t, { MQTT_URL: closed.url }, 'broker', /wants a user/);
  const known = of(await look({ ...SOUND, MQTT_URL: closed.url, MQTT_USERNAME: 'khumbu' }), 'broker');
  t.match(known, [{ outcome: 'ok', text: /MQTT 5/ }]);
  const small = await startMosquitto({ dir: at('small'), config: ['max_packet_size 4096', 'max_qos 1'] });
  t.teardown(() => small.stop());
  await wrongWith(t, { MQTT_URL: small.url }, 'broker', /QoS 1 at most/);
});

await t.test('the object store: away, refused, without the bucket', async (t) => {
  await wrongWith(t, { S3_ENDPOINT: 'http://127.0.0.1:1' }, 'store', /ECONNREFUSED/);
  await wrongWith(t, { S3_BUCKET: 'elsewhere' }, 'store', /cannot be used/);
  await wrongWith(t, { S3_SECRET_KEY_FILE: undefined, S3_SECRET_KEY: 'wrong' }, 'store', /cannot be used/);
});

await t.test('ports of others, and ours', async (t) => {
  const other = createServer((_request, response) => response.end('hello'));
  const ours = createServer((_request, response) => response.end('{"live":true}'));
  t.teardown(() => Promise.all([closeNow(other), closeNow(ours)]));
  const taken = await listen(other, 0);
  await wrongWith(t, { HTTP_PORT: String(taken) }, 'ports', /taken by another program/);
  const held = await look({ ...SOUND, HTTP_PORT: String(await listen(ours, 0)) });
  t.match(of(held, 'ports'), [{ outcome: 'ok' }]);
});

await t.test('settings and files', async (t) => {
  await wrongWith(t, { MQTT_SESSION_EXPIRY_S: 'soon' }, 'settings', /MQTT_SESSION_EXPIRY_S .*\[gateway\]/);
  const misspelt = await look({ ...SOUND, REDIS_ULR: 'x' }, ['REDIS_ULR', 'REDIS_URL']);
  t.match(of(misspelt, 'settings'), [{ outcome: 'warning', text: /^REDIS_ULR is no setting/ }]);
  writeFileSync(at('open.json'), '[]');
  chmodSync(at('open.json'), 0o666);
  await wrongWith(t, { API_KEYS_FILE: at('open.json') }, 'keys', /mode 666/);
  await wrongWith(t, { API_KEYS_FILE: at('nothing.json') }, 'keys', /is not there/);
  const people = await look({ ...SOUND, API_KEYS_FILE: '', OIDC_ISSUER: 'https://sso.example' });
  t.match(of(people, 'keys'), [{ outcome: 'ok', text: 'people of a provider alone' }]);
  writeFileSync(at('broken.json'), '[{"name":"a"}]', { mode: 0o600 });
  await wrongWith(t, { API_KEYS_FILE: at('broken.json') }, 'keys', /broken\.json/);
  writeFileSync(at('broken.yml'), 'stations:\n  gate-1: { drivr: simulated }\n');
  await wrongWith(t, { STATIONS_FILE: at('broken.yml') }, 'stations', /line 2.*drivr/);
  const ssh = {
    transport: 'ssh',
    host: '127.0.0.1',
    user: 'x',
    known_hosts_file: at('none'),
    private_key_file: at('none'),
  };
  const driver = { ...ssh, profile: 'rauc', state_dir: '/var/lib/khumbu', rauc: {}, reboot: ['reboot'] };
  writeFileSync(at('far.yml'), JSON.stringify({ stations: { 'gate-9': { driver } } }));
  await wrongWith(t, { STATIONS_FILE: at('far.yml') }, 'stations', /gate-9: private_key_file .* cannot be read/);
  chmodSync(at('secret'), 0o644);
  await wrongWith(t, {}, 'secrets', /mode 644: others can read it/);
  chmodSync(at('secret'), 0o600);
  writeFileSync(at('no.pem'), 'nothing');
  await wrongWith(t, { MANUFACTURER_ROOTS_FILE: at('no.pem') }, 'certificates', /no\.pem/);
});

await t.test('Node, clock and disk', async (t) => {
  t.equal(judgeNode('20.18.3').outcome, 'wrong');
  t.equal(judgeNode('20.19.0').outcome, 'ok');
  t.equal(judgeNode('24.0.0').outcome, 'ok');
  const now = Date.UTC(2027, 0, 1);
  t.match(judgeClock(Date.UTC(1970, 0, 2), {}, true), [{ outcome: 'wrong', text: /never set/ }]);
  t.match(judgeClock(now, { Redis: 5000 }, true), [{ outcome: 'warning', text: /Redis is 5\.0 s ahead/ }]);
  t.match(judgeClock(now, {}, false), [{ outcome: 'warning' }]);
  t.match(judgeClock(now, { Redis: -1500 }, undefined), [{ outcome: 'ok' }]);
  const room = { freeBytes: 10e9, freeFiles: 1e6, isWritable: true, folder: '/spool' };
  t.equal(judgeRoom('/spool', room, 4e9).outcome, 'ok');
  t.equal(judgeRoom('/spool', { ...room, isWritable: false }, 4e9).outcome, 'wrong');
  t.equal(judgeRoom('/spool', { ...room, freeBytes: 1e6 }, 4e9).outcome, 'wrong');
  t.equal(judgeRoom('/spool', { ...room, freeFiles: 3 }, 4e9).outcome, 'wrong');
  t.equal(judgeRoom('/spool', { ...room, freeBytes: 2e9 }, 4e9).outcome, 'warning');
});
