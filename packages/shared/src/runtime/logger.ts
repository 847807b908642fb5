/** Structured log lines. Secrets that could reach a binding are blanked here, whatever the caller does. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { describeError, withoutCredentials } from './errors.js';

export type { Logger } from 'pino';

const SECRET_MEMBERS = [
  'password',
  'apn_password',
  'sim_pin',
  'key',
  'secret',
  'secretKey',
  'authorization',
  'apn',
  'vpn',
];

/**
 * An unknown level counts as `info`: the log is opened before the settings are read, and these report it
 * (`LOG_LEVEL`, with all the others).
 */
export function createLogger(service: string, level: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level: level in pino.levels.values || level === 'silent' ? level : 'info',
      base: { service, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: SECRET_MEMBERS.flatMap((m) => [m, `*.${m}`]), censor: '[hidden]' },
      serializers: {
        err: (error: Error & { code?: string }) => ({
          type: error?.name,
          code: error?.code,
          message: describeError(error),
          stack: error?.stack === undefined ? undefined : withoutCredentials(error.stack),
        }),
      },
    },
    // Written at once: a line that explains a death must not die in a buffer.
    destination ?? pino.destination({ dest: 1, sync: true }),
  );
}
