/**
 * Every way a transfer can fail, for every scheme: what EVerest is told, the stable reason, whether it is tried again, and
 * what a person can do. What transports throw is decided by this table; `docs/transfers.md` and the tests are made from it.
 */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import type { Direction } from '../port.js';
import type { Fault, Outcome, RestOfFamily, TransferReason, UploadStatus } from './fault.js';
import { FILE_FAULTS, FTP_FAULTS, SFTP_FAULTS } from './file-faults.js';
import { HTTP_FAULTS } from './http-faults.js';
import { HTTP_STATUS_FAULTS } from './http-status-faults.js';
import { S3_FAULTS } from './s3-faults.js';

export const FAULTS: readonly Fault[] = [
  ...HTTP_FAULTS,
  ...HTTP_STATUS_FAULTS,
  ...S3_FAULTS,
  ...FILE_FAULTS,
  ...FTP_FAULTS,
  ...SFTP_FAULTS,
];

/** Statuses of a proxy that share the row of another one. */
const PROXY_ROWS: readonly (readonly [statuses: RegExp, row: TransferReason])[] = [
  [/_(408|425|429)$/, 'proxy_429'],
  [/_(401|403)$/, 'proxy_403'],
  [/_(501|505)$/, 'proxy_501'],
];

/** The reason whose row counts where a status has no row of its own. */
function familyOf(reason: TransferReason): TransferReason | RestOfFamily | undefined {
  const [, family, first] = /^(http|proxy|ftp)_(\d)\d\d$/.exec(reason) ?? [];
  if (family === 'http') return `http_${first === '1' ? '4' : (first as '4')}xx`;
  if (family === 'ftp') return first === '4' ? 'ftp_4xx' : 'ftp_5xx';
  if (family !== 'proxy') return undefined;
  return PROXY_ROWS.find(([statuses]) => statuses.test(reason))?.[1] ?? (first === '5' ? 'proxy_5xx' : 'proxy_4xx');
}

/** The row of a reason in one direction; a scheme without a row of its own shares that of `http`. Pure. */
function rowOf(direction: Direction, reason: TransferReason, scheme: LocationScheme): Fault | undefined {
  const find = (wanted: string | undefined, of: LocationScheme) =>
    FAULTS.find((row) => row[direction]?.reason === wanted && row.schemes.includes(of));
  return (
    find(reason, scheme) ?? find(reason, 'https') ?? find(familyOf(reason), scheme) ?? find(familyOf(reason), 'https')
  );
}

export interface Verdict {
  readonly retried: boolean;
  readonly advice: string;
}

/** What the table says of a reason. Pure. Throws for one that has no row: that is a bug of its transport. */
export function verdictOf(direction: Direction, reason: TransferReason, scheme: LocationScheme): Verdict {
  const row = rowOf(direction, reason, scheme);
  const outcome: Outcome | undefined = row?.[direction];
  if (!row || !outcome) throw new Error(`no row of the fault table has the reason ${reason} for ${direction}`);
  return { retried: outcome.retried, advice: row.advice };
}

/** What EVerest is told of an upload that failed so, when no try is left. Pure. */
export const uploadStatusOf = (reason: TransferReason, scheme: LocationScheme): UploadStatus =>
  rowOf('put', reason, scheme)?.put?.status ?? 'UploadFailure';
