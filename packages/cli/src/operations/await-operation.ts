/** `--wait`: an operation with what it does on a line that moves, and an end that is an exit code. */
import type { Operation, ProgressEvent } from '@khumbu/client/generated/rest-api';
import type { CliContext } from '../context.js';
import type { Depot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { bytesText, durationText } from '../output/shown.js';
import { type Standing, watchOperation } from './watch-operation.js';

/** Where no line moves, so often progress is told. */
const TELL_EVERY_MS = 10_000;

export interface WaitFlags {
  readonly timeout?: number;
}

/** Pure. */
export function progressText({ bytes, totalBytes, bytesPerS, remainingS, percent, records }: Partial<ProgressEvent>) {
  const share = percent ?? (bytes !== undefined && totalBytes ? Math.floor((100 * bytes) / totalBytes) : undefined);
  const parts = [
    share === undefined ? '' : `${share} %`,
    bytes === undefined ? '' : `${bytesText(bytes)}${totalBytes === undefined ? '' : ` of ${bytesText(totalBytes)}`}`,
    records === undefined ? '' : `${records} records`,
    bytesPerS === undefined ? '' : `${bytesText(bytesPerS)}/s`,
    remainingS === undefined ? '' : `${durationText(remainingS)} left`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** What it waits for, since when, until when, and who can end that. Pure. */
export function waitingText({ waiting, waitingFor }: Pick<Standing, 'waiting' | 'waitingFor'>): string {
  if (waitingFor === undefined) return '';
  const until = waiting?.until === undefined ? '' : `, until ${waiting.until} at the latest`;
  const by = waiting === undefined || waiting.liftedBy.length === 0 ? '' : ` (by ${waiting.liftedBy.join(', ')})`;
  const detail = waiting?.detail === undefined ? '' : `: ${waiting.detail}`;
  return `waits for ${waitingFor}${by}${until}${detail}`;
}

/** Pure. */
export function outcomeText({ status, outcome }: Pick<Operation, 'status' | 'outcome'>): string {
  const why = [outcome?.reason, outcome?.message].filter((part) => part !== undefined).join(': ');
  return `${status}${why === '' ? '' : ` (${why})`}`;
}

/**
 * Resolves with the operation once it has ended, well or badly. Rejects with a `Failure` when `--timeout` is over: the
 * operation goes on. `onStanding` is told as well.
 */
export async function awaitOperation(
  { terminal, signal }: CliContext,
  depot: Depot,
  operationId: string,
  { timeout }: WaitFlags,
  onStanding: (standing: Standing) => void = () => undefined,
): Promise<Operation> {
  const over = timeout === undefined ? undefined : AbortSignal.timeout(timeout * 1000);
  let status = '';
  let toldAt = 0;
  try {
    return await watchOperation(depot, operationId, {
      signal: over ? AbortSignal.any([signal, over]) : signal,
      onStanding: (standing) => {
        status = standing.status;
        const waits = waitingText(standing);
        terminal.live('');
        terminal.say(standing.ended ? outcomeText(standing) : `${status}${waits === '' ? '' : `, ${waits}`}`);
        onStanding(standing);
      },
      onProgress: (progress) => {
        const text = `${status}: ${progressText(progress)}`;
        if (terminal.isLive) terminal.live(text);
        else if (performance.now() - toldAt > TELL_EVERY_MS) {
          toldAt = performance.now();
          terminal.say(text);
        }
      },
    });
  } catch (error) {
    if (over?.aborted && !signal.aborted)
      throw new Failure('timeout', 'TIMEOUT', `${operationId} has not ended within ${timeout} s, and goes on`);
    throw error;
  } finally {
    terminal.live('');
  }
}
