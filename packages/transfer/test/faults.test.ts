import type { LocationScheme } from '@khumbu/shared/locations/location';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';
import type { Fault } from '../src/faults/fault.js';
import { FAULTS, uploadStatusOf } from '../src/faults/fault-table.js';
import { HTTP_STATUS_FAULTS } from '../src/faults/http-status-faults.js';
import type { TransferError } from '../src/transfer-error.js';
import { httpPlays } from './http-plays.js';
import { type Play, perform } from './play.js';
import { s3Plays } from './s3-plays.js';

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

async function playRow(
  t: Test,
  row: Fault,
  scheme: LocationScheme,
  asked: Play | (() => Promise<unknown>),
): Promise<void> {
  for (const direction of ['get', 'put'] as const) {
    const outcome = row[direction];
    if (!outcome) continue;
    const work = typeof asked === 'function' ? asked() : perform(direction, asked);
    const error = (await work.then(
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

void t.test('each row of http, https and s3 comes about as the table says', async (t) => {
  const plays = {
    http: { ...(await statusPlays(t)), ...(await httpPlays(t)) },
    s3: await s3Plays(t),
  };
  const rows = FAULTS.flatMap((row) => {
    const scheme = row.schemes.find((one) => ['http', 'https', 's3'].includes(one));
    if (scheme === undefined) return [];
    const asked = (scheme === 's3' ? plays.s3 : plays.http)[row.fault];
    return [{ row, scheme, asked }];
  });
  await Promise.all(
    rows.map(async ({ row, scheme, asked }) => {
      if (asked) await playRow(t, row, scheme, asked);
      else t.fail(`nobody plays ${scheme}: ${row.fault}`);
    }),
  );
  t.ok(rows.length >= 60, `${rows.length} rows`);
});
