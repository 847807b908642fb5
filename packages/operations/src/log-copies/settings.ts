/** The settings of the depot's own copies of log archives, the same for all services of a depot. */
import { whole } from '@khumbu/shared/runtime/config';
import { type Static, type TObject, Type } from 'typebox';
import type { CopiedLogType } from './log-copy.js';

export const LOG_COPY_SETTINGS = {
  LOG_COPY_DIAGNOSTICS_DAYS: whole(
    30,
    0,
    'Days an archive of type DiagnosticsLog is kept in the depot’s object store, wherever else it went; 0: no copy is made, and none is removed.',
    36_500,
  ),
  LOG_COPY_SECURITY_DAYS: whole(
    365,
    0,
    'Days an archive of type SecurityLog is kept in the depot’s object store, wherever else it went; 0: no copy is made, and none is removed.',
    36_500,
  ),
  LOG_COPIES_QUOTA_BYTES: whole(
    0,
    0,
    'Bytes that all kept archives may have together; beyond them the oldest go, those of type SecurityLog last. 0: no limit.',
  ),
} as const;

const Settings: TObject<typeof LOG_COPY_SETTINGS> = Type.Object(LOG_COPY_SETTINGS);

export interface CopyRules {
  /** 0: none is made, and none is removed. */
  readonly days: Readonly<Record<CopiedLogType, number>>;
  /** Absent: no limit. */
  readonly quotaBytes?: number;
}

/** Pure. */
export function copyRules(config: Readonly<Static<typeof Settings>>): CopyRules {
  const { LOG_COPIES_QUOTA_BYTES: quotaBytes } = config;
  return {
    days: { DiagnosticsLog: config.LOG_COPY_DIAGNOSTICS_DAYS, SecurityLog: config.LOG_COPY_SECURITY_DAYS },
    ...(quotaBytes === 0 ? {} : { quotaBytes }),
  };
}

const DAY_MS = 24 * 3600_000;

/** Until when a copy is kept, milliseconds since 1970; `undefined`: no date is set. Pure. */
export function keptUntil(
  { days }: CopyRules,
  { type, createdAt }: { readonly type: CopiedLogType; readonly createdAt: number },
): number | undefined {
  return days[type] === 0 ? undefined : createdAt + days[type] * DAY_MS;
}
