/**
 * What is at another server and is looked at again and again, as the keys of an issuer: at the start, then every few
 * minutes, and when a request needs it; never more than once in an interval. What cannot be reached or used
 * changes nothing: what was good last stays, and it is reported like a file.
 */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';

export interface LookTimes {
  /** Between two looks at least, and until the next one while there is something wrong. */
  readonly intervalMs: number;
  /** Until the next look while all is well. */
  readonly refreshMs: number;
  readonly timeoutMs: number;
}
export const LOOK_TIMES: LookTimes = { intervalMs: 5000, refreshMs: 600_000, timeoutMs: 2000 };

export interface RegularLookOptions<T> {
  /** The variable that names it; every message begins with it. */
  readonly setting: string;
  /** Rejects with a `CodedError` for what is there and must not be used, with anything else while it cannot be reached. */
  readonly look: (signal: AbortSignal) => Promise<T>;
  /** Code of the error while it cannot be reached. */
  readonly unreachable: string;
  readonly reports: FileReports;
  readonly times?: Partial<LookTimes> | undefined;
}

/** The reason behind "fetch failed". */
const causeOf = (error: unknown): unknown =>
  error instanceof TypeError && error.cause instanceof Error ? error.cause : error;

/** Begins with the first call of `lookOnce`. */
export function lookRegularly<T>({ setting, look, unreachable, reports, times }: RegularLookOptions<T>) {
  const { intervalMs, refreshMs, timeoutMs } = { ...LOOK_TIMES, ...times };
  const closing = new AbortController();
  let found: T | undefined;
  let problem: CodedError | undefined;
  let looking: Promise<void> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const lookNow = async (): Promise<void> => {
    lookedAt = performance.now();
    const deadline = deadlineAfter(timeoutMs, closing.signal);
    try {
      found = await look(deadline.signal);
      problem = undefined;
      reports.usable(setting);
    } catch (error) {
      if (closing.signal.aborted) return;
      const reason = `${setting} cannot be read: ${describeError(causeOf(error))}`;
      const next = error instanceof CodedError ? error : new CodedError(unreachable, reason, { cause: error });
      if (next.message !== problem?.message) reports.unusable(setting, next);
      problem = next;
    } finally {
      deadline.clear();
    }
    clearTimeout(timer);
    timer = setTimeout(() => void lookOnce(), problem ? intervalMs : refreshMs).unref();
  };
  const lookOnce = async (): Promise<void> => {
    if (!looking && performance.now() - lookedAt < intervalMs) return;
    looking ??= lookNow().finally(() => {
      looking = undefined;
    });
    await looking;
  };

  return {
    /** Look, unless that was done just now; never rejects. One look at a time. */
    lookOnce,
    /** What was good last. `undefined`: nothing was yet. */
    current: (): T | undefined => found,
    /** What is wrong with what is there now. */
    problem: (): CodedError | undefined => problem,
    close: (): void => {
      closing.abort();
      clearTimeout(timer);
    },
  };
}
