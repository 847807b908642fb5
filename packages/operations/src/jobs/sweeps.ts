/** What killed workers and ended operations leave behind is removed at the start of a worker and at intervals. */
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';

export interface Sweep {
  /** Resolves with the number of things removed. Safe to repeat, also by several workers at once. */
  readonly run: () => Promise<number>;
  /** The name of that number in the log, and the log lines of a success and of a failure. */
  readonly counts: string;
  readonly done: string;
  readonly failed: string;
}

/** Resolves after the first round. Never rejects: a failed sweep is logged and made again in the next round. */
export async function sweepRegularly(
  life: Lifecycle,
  log: Logger,
  everyMs: number,
  sweeps: readonly Sweep[],
): Promise<void> {
  const round = async (): Promise<void> => {
    for (const { run, counts, done, failed } of sweeps) {
      try {
        const count = await run();
        if (count > 0) log.info({ [counts]: count }, done);
      } catch (error) {
        log.warn({ err: error }, failed);
      }
    }
  };
  const timer = setInterval(() => void round(), everyMs);
  life.onStop('sweeper', () => clearInterval(timer));
  await round();
}
