import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { startOrigin } from '@khumbu/test-support/origin';
import { whyNoProftpd } from '@khumbu/test-support/proftpd';
import { hasSshd } from '@khumbu/test-support/sshd';
import { whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t, { type Test } from 'tap';
import type { Fault } from '../src/faults/fault.js';
import { FAULTS, uploadStatusOf } from '../src/faults/fault-table.js';
import { HTTP_STATUS_FAULTS } from '../src/faults/http-status-faults.js';
import type { Direction } from '../src/port.js';
import type { TransferError } from '../src/transfer-error.js';
import type { Asked, FilePlays } from './file-plays.js';
import { ftpPlays } from './ftp-plays.js';
import { httpPlays } from './http-plays.js';
import { type Play, perform } from './play.js';
import { s3Plays } from './s3-plays.js';
import { sftpPlays } from './sftp-plays.js';

/** A status for each row of the statuses; of a family any that has no row of its own. */
const OF_FAMILY: Readonly<Record<string, number>> = { http_2xx: 202, http_3xx: 300, http_4xx: 418, http_5xx: 599 };
const statusOf = ({ get }: Fault): number => OF_FAMILY[get?.reason ?? ''] ?? Number(/\d+/.exec(get?.reason ?? '')?.[0]);

async function statusPlays(t: Test): Promise<Record<string, Play>> {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  return Object.fromEntries(
    HTTP_STATUS_FAULTS.map((row) => {
      const status = statusOf(row);
      const path = `/${status}`;
      origin.receive(path, { status });
      return [row.fault, { location: origin.serve(path, Buffer.from('x'), { status }) }];
    }),
  );
}

/** What a row says of a reason: of a family any status of it will do. */
const matches = (said: string, reason: string): boolean => new RegExp(`^${said.replace('xx', '\\d\\d')}$`).test(reason);

/** One try each; several plays of a fault have to end alike. */
type Acts = (direction: Direction) => readonly (() => Promise<unknown>)[];

const actsOf = (asked: FilePlays[string] | (() => Promise<unknown>)): Acts => {
  if (typeof asked === 'function') return () => [asked];
  return (direction) => {
    const own =
      'location' in asked || Array.isArray(asked)
        ? asked
        : (asked as { readonly [way in Direction]?: Asked })[direction];
    return [own ?? []].flat().map((play) => () => perform(direction, play));
  };
};

async function playRow(t: Test, row: Fault, scheme: LocationScheme, acts: Acts): Promise<void> {
  for (const direction of ['get', 'put'] as const) {
    const outcome = row[direction];
    if (!outcome) continue;
    const plays = acts(direction);
    if (plays.length === 0) t.fail(`nobody plays ${direction} ${scheme}: ${row.fault}`);
    for (const act of plays) {
      const error = (await act().then(
        () => new Error('nothing failed'),
        (failure: unknown) => failure,
      )) as TransferError;
      const name = `${direction} ${scheme}: ${row.fault}`;
      t.equal(error.code, 'TRANSFER_FAILED', `${name} ${error.message}`);
      t.ok(matches(outcome.reason, String(error.reason)), `${name} ${error.reason}: ${error.message}`);
      t.equal(error.retryable, outcome.retried, `${name} again: ${error.retryable}`);
      const status = direction === 'get' ? 'DownloadFailed' : uploadStatusOf(error.reason, scheme);
      t.equal(status, outcome.status, `${name} is told as ${status}`);
      t.notMatch(error.message, /hush|X-Amz/);
    }
  }
}

type Plays = Readonly<Record<string, Parameters<typeof actsOf>[0]>>;

/** The acts of a row; one that nobody plays fails, and one that plays no row. */
function actsFor(t: Test, scheme: LocationScheme, plays: Plays, rows: readonly Fault[]) {
  for (const fault of Object.keys(plays))
    if (!rows.some((row) => row.fault === fault)) t.fail(`${scheme} has no row: ${fault}`);
  return rows.flatMap((row) => {
    const asked = plays[row.fault];
    if (asked) return [{ row, scheme, acts: actsOf(asked) }];
    t.fail(`nobody plays ${scheme}: ${row.fault}`);
    return [];
  });
}

void t.test('each row of http, https and s3 comes about as the table says', async (t) => {
  const ofStore = FAULTS.filter(({ schemes }) => schemes.includes('s3'));
  const ofHttp = FAULTS.filter(({ schemes }) => schemes.includes('https') || schemes.includes('http'));
  const http = { ...(await statusPlays(t)), ...(await httpPlays(t)) };
  const rows = [...actsFor(t, 'https', http, ofHttp), ...actsFor(t, 's3', await s3Plays(t), ofStore)];
  await Promise.all(rows.map(({ row, scheme, acts }) => playRow(t, row, scheme, acts)));
  t.ok(rows.length >= 60, `${rows.length} rows`);
});

const why =
  (await whyNoVsftpd()) ??
  (await whyNoProftpd()) ??
  (hasSshd() && hasAccounts() ? undefined : 'no sshd that knows users of its own can be started here');

void t.test('each row of ftp, ftps and sftp comes about as the table says', { skip: why ?? false }, async (t) => {
  t.setTimeout(900_000);
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-faults-'));
  await chmod(dir, 0o755);
  // Of several the last one is called first: disks below it are unmounted then.
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const [ofFtp, sftp] = await Promise.all([ftpPlays(t, join(dir, 'ftp')), sftpPlays(t, join(dir, 'sftp'))]);
  let rows = 0;
  for (const [scheme, plays] of Object.entries({ ...ofFtp, sftp })) {
    const own = FAULTS.filter(({ schemes }) => schemes.includes(scheme as LocationScheme));
    // One after the other: servers are stopped, killed and told what to do.
    for (const { row, acts } of actsFor(t, scheme as LocationScheme, plays, own)) {
      await playRow(t, row, scheme as LocationScheme, acts);
      rows += 1;
    }
  }
  t.ok(rows >= 60, `${rows} rows`);
});
