/** Which logs are ordered, of one station or of many. */
import type { LogUploadOrder } from '@khumbu/client/generated/rest-api';
import type { FlagParametersForType } from '@stricli/core';
import type { CliContext } from '../context.js';
import { type GivenDate, optionalPast } from './flags.js';

export interface LogOrderFlags {
  readonly type: 'DiagnosticsLog' | 'SecurityLog';
  readonly since?: GivenDate;
  readonly until?: GivenDate;
}

export const LOG_ORDER_FLAGS: FlagParametersForType<LogOrderFlags, CliContext> = {
  type: {
    kind: 'enum',
    values: ['DiagnosticsLog', 'SecurityLog'],
    default: 'DiagnosticsLog',
    brief: 'Which logs',
  },
  since: optionalPast('Only from this date on, or so long ago: 2h, 3d'),
  until: optionalPast('Only up to this date, or so long ago'),
};

export const logOrderOf = ({ type, since, until }: LogOrderFlags): LogUploadOrder => ({
  type,
  ...(since === undefined ? {} : { oldest_timestamp: since.at }),
  ...(until === undefined ? {} : { latest_timestamp: until.at }),
});
