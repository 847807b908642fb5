/** What the depot did at a station, in archives of type SecurityLog: also of a station that is away. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { COLLECTOR } from '@khumbu/operations/log-copies/log-copy';
import { keysFor } from '@khumbu/operations/records/keys';
import { newRecordBase } from '@khumbu/operations/records/record';
import { createAppendFact } from '@khumbu/operations/security-log/append-fact';
import { createChainWriter, readHead } from '@khumbu/operations/security-log/chain-writer';
import { securityLogCommand } from '@khumbu/operations/security-log/command';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { parseStationsFile, profileFrom, type StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { startOrigin } from '@khumbu/test-support/origin';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { securityLogOf } from '../src/archive/security-log.js';
import { createSendArchive } from '../src/steps/send-archive.js';
import { createSharedJournal } from '../src/upload/shared-journal.js';
import { loopback } from './put-file.js';

const NOW = Date.UTC(2026, 10, 20, 12);
const HOUR_MS = 3600_000;
const directory = await mkdtemp(join(tmpdir(), 'khumbu-security-'));
t.teardown(() => rm(directory, { recursive: true, force: true }));
const { redis } = await openRedis(t, join(directory, 'redis'));
const keys = keysFor('t');
const web = await startOrigin({});
t.teardown(() => web.close());
web.receive('/csms', {});
const profile = profileFrom(parseStationsFile('stations: { cs-1: { driver: simulated } }'), 'cs-1') as StationProfile;
const here: Pick<StationDriver, 'openLogs' | 'observe' | 'readClock'> = {
  openLogs: async () => [
    { name: 'auth', stream: Readable.from([Buffer.from('sshd: accepted\n')], { objectMode: false }) },
  ],
  observe: () => Promise.reject(new CodedError('NOT_OBSERVED', 'it does not say')),
  readClock: async () => new Date(NOW - HOUR_MS),
};
const away: typeof here = {
  openLogs: () => Promise.reject(new CodedError('STATION_UNREACHABLE', 'no route to it')),
  observe: here.observe,
  readClock: () => Promise.reject(new CodedError('STATION_UNREACHABLE', 'no route to it')),
};

const append = createAppendFact(redis, keys);
for (const [station, what, at] of [
  ['cs-1', 'too_early', NOW - 3 * HOUR_MS],
  ['cs-1', 'login', NOW - HOUR_MS],
  ['cs-2', 'login', NOW - HOUR_MS],
  [undefined, 'policy_changed', NOW - HOUR_MS],
  ['cs-1', 'reset', NOW - HOUR_MS / 2],
] as const)
  await append({
    fact: { at, what, phase: 'done', by: { cause: 'depot', name: 'log-worker' }, ...(station && { station }) },
  });
await redis.set(keys.lease, 'me');
const writer = createChainWriter({ redis, keys, holder: 'me', now: () => momentOf(NOW) });
await writer.round(new AbortController().signal);

let count = 0;
async function sent(
  driver: typeof here,
  logType: LogUploadRecord['logType'],
  isLastTry: boolean,
  more: Partial<LogUploadRecord> = {},
) {
  const id = `log-${++count}`;
  const record: LogUploadRecord = {
    ...newRecordBase('log_upload', 'Uploading', {
      station: 'cs-1',
      origin: 'everest',
      requestId: 1,
      now: momentOf(NOW),
      id,
    }),
    request: {
      location: `${web.url}/csms/`,
      request_id: 1,
      oldest_timestamp: new Date(NOW - 2 * HOUR_MS).toISOString(),
    },
    logType,
    fileName: `${id}.tar.gz`,
    announced: true,
    tries: 0,
    ...more,
  };
  const send = createSendArchive({
    driverOf: () => driver as StationDriver,
    locations: loopback,
    progress: () => () => {},
    spoolDir: directory,
    levels: { gzip: 1, zstd: 1 },
    redactorOf: async () => createRedactor({ rules: [], key: '0'.repeat(64) }),
    delivery: {},
    shared: createSharedJournal(redis, keys),
    securityLog: securityLogOf(redis, keys),
    transfers: { stallMs: 30_000, objects: undefined },
  });
  const { signal } = new AbortController();
  const log = createLogger('log-worker', 'silent');
  const step = { signal, log, commit: async () => {}, isOurs: async () => true };
  const { contents } = await send(record, profile, step, isLastTry);
  const archive = web.uploads.items.at(-1)?.body as Buffer;
  const tar = (...args: string[]): string =>
    execFileSync('tar', ['-xzO', '-f', '-', ...args], { input: archive }).toString();
  const names = execFileSync('tar', ['-tzf', '-'], { input: archive }).toString().trim().split('\n');
  return { names, tar, contents, manifest: JSON.parse(tar('manifest.json')) };
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

void t.test(
  'archives of type SecurityLog have what the depot did at the station, chained; all name the newest entry',
  async (t) => {
    const { tar, manifest } = await sent(here, 'SecurityLog', false);
    const lines = tar('depot/security.log').trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line));
    t.match(entries, [{ what: 'login', stationId: 'cs-1' }, { what: 'policy_changed' }, { what: 'reset' }]);
    t.equal(entries.length, 3);
    const file = join(directory, 'security.log');
    await writeFile(file, tar('depot/security.log'));
    const said: string[] = [];
    const depot = () => Promise.reject(new Error('the archive is enough'));
    const verify = ['verify', file, '--station', 'cs-1'];
    t.equal(await securityLogCommand(verify, { depot, write: (line) => void said.push(line) }), 0);
    t.match(said, [/^3 entries are as they were written/]);
    t.same(manifest.security_log, await readHead(redis, keys));
    t.match(manifest.members, [{ name: 'auth/auth-0001.log' }, { name: 'depot/security.log' }]);
    const diagnostics = await sent(here, 'DiagnosticsLog', false);
    t.notOk(diagnostics.names.includes('depot/security.log'));
    t.match(diagnostics.manifest.security_log, { sequence: 5 });
  },
);

void t.test('a station that is away: tried again, and at last what the depot knows of it', async (t) => {
  const unreachable = { reason: 'station_unreachable', retryable: true };
  t.match(await failureOf(sent(away, 'SecurityLog', false)), unreachable);
  t.match(await failureOf(sent(away, 'DiagnosticsLog', true)), unreachable, 'nothing is known of its logs');
  const { tar, manifest } = await sent(away, 'SecurityLog', true);
  t.match(manifest.left_out, [{ source: 'station', code: 'station_unreachable', text: /no route to it/ }]);
  t.match(tar('depot/security.log'), /"what":"reset"/);
  t.match(
    await failureOf(sent(away, 'SecurityLog', true, { askedBy: COLLECTOR })),
    unreachable,
    'the next night asks for its time again',
  );
});

void t.test('its files are gone: what the depot knows is sent with the last try', async (t) => {
  const gone: typeof here = {
    ...here,
    openLogs: async () => [
      {
        name: 'auth',
        stream: new Readable({
          read() {
            this.destroy(new CodedError('LOGS_UNAVAILABLE', 'it was wiped'));
          },
        }),
      },
    ],
  };
  t.match(await failureOf(sent(gone, 'SecurityLog', false)), { reason: 'logs_unavailable' });
  const { tar, manifest } = await sent(gone, 'SecurityLog', true);
  t.match(manifest, { sources: [{ name: 'auth', failed: true }], left_out: [{}, { code: 'logs_unavailable' }] });
  t.match(tar('depot/security.log'), /"what":"login"/);
});

void t.test('what the nightly collection has to know of an archive', async (t) => {
  const collected = { askedBy: COLLECTOR };
  const lines = (name: string) => ({ name, stream: Readable.from([Buffer.from('a line\n')], { objectMode: false }) });
  const broken = (name: string) => ({
    name,
    stream: new Readable({
      read() {
        this.destroy(new CodedError('LOGS_UNAVAILABLE', 'its command ended with 1'));
      },
    }),
  });
  const both: typeof here = { ...here, openLogs: async () => [lines('journal'), broken('meter')] };
  t.strictSame((await sent(here, 'DiagnosticsLog', false, collected)).contents, {
    stationClock: NOW - HOUR_MS,
    failedSources: [],
  });
  t.match((await sent(both, 'DiagnosticsLog', true, collected)).contents, { failedSources: ['meter'] });
  const timeless: typeof here = { ...here, readClock: away.readClock };
  t.strictSame((await sent(timeless, 'DiagnosticsLog', false, collected)).contents, { failedSources: [] });
  t.equal((await sent(both, 'DiagnosticsLog', false)).contents, undefined, 'nobody else asks');
});
