/**
 * Starting and stopping a service. Things are stopped in the reverse order of their start, under one deadline; a
 * second signal ends the process at once. A service started with an IPC channel stops when its parent is gone.
 */
import { CodedError, describeError, hasCode } from './errors.js';
import type { Logger } from './logger.js';

const STOP_DEADLINE_MS = 8000;

export interface Lifecycle {
  /** Called in reverse order of registration when the service stops. */
  onStop(what: string, stop: () => Promise<void> | void): void;
  /** Tell the parent, if there is one, that the service does its work now. */
  ready(): void;
  /** Stop and exit; a `reason` that is an error makes the exit code 1. */
  stop(reason: unknown): void;
}

/** One line that names the wrong setting, or `undefined` for any other failure. */
function problemOfSettings(error: unknown): string | undefined {
  if (hasCode(error, 'CONFIG_INVALID', 'STATIONS_FILE_INVALID', 'TRUST_FILE_INVALID')) return describeError(error);
  // Redis' own words: WRONGPASS for a wrong password, NOAUTH for none.
  const refused = error instanceof Error && /^(WRONGPASS|NOAUTH)\b/.test(error.message);
  return refused ? 'REDIS_URL: Redis refuses the user name or password' : undefined;
}

/** Run a service's `main`. It resolves when everything is started; the process ends by `stop` or a signal. */
export function runService(createLog: () => Logger, main: (life: Lifecycle, log: Logger) => Promise<void>): void {
  const stops: { what: string; stop: () => Promise<void> | void }[] = [];
  let log: Logger | undefined;
  let stopping = false;
  let failed = false;

  const stopAll = async (): Promise<void> => {
    for (const { what, stop } of stops.toReversed()) {
      try {
        await stop();
      } catch (error) {
        log?.warn({ err: error, what }, 'could not stop in order');
      }
    }
  };

  const stop = (reason: unknown): void => {
    if (reason instanceof Error) {
      failed = true;
      if (log) log.fatal({ err: reason }, stopping ? 'failure while stopping' : 'stopping after a failure');
      else process.stderr.write(`${describeError(reason)}\n`);
    } else if (!stopping) log?.info({ reason }, 'stopping');
    // What comes while it stops changes nothing about the order; the deadline is there for what does not end.
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS);
    stopAll().then(
      () => process.exit(failed ? 1 : 0),
      () => process.exit(1),
    );
  };

  let signaled = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signaled) process.exit(1);
    signaled = true;
    stop(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  if (process.channel) process.on('disconnect', () => stop('the parent process is gone'));
  // A surprise leaves the process in an unknown state: stop in order and let the supervisor start a new one.
  process.on('uncaughtException', (error) => stop(error));
  process.on('unhandledRejection', (error) => stop(error instanceof Error ? error : new Error(String(error))));

  const life: Lifecycle = {
    onStop: (what, fn) => stops.push({ what, stop: fn }),
    ready() {
      log?.info('ready');
      if (process.connected) process.send?.({ ready: true });
    },
    stop,
  };
  const start = async (): Promise<void> => {
    log = createLog();
    await main(life, log);
  };
  start().catch((error: unknown) => {
    const problem = problemOfSettings(error);
    if (problem !== undefined) {
      process.stderr.write(`${problem}\n`);
      process.exit(1);
    }
    stop(error instanceof Error ? error : new CodedError('START_FAILED', String(error)));
  });
}
