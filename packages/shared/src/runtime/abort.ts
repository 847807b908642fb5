/** Waiting that an AbortSignal ends, and signals with a time limit. */
import { setTimeout as delay } from 'node:timers/promises';

/** Call `act` once the signal fires, at once if it has fired already. The returned function withdraws the listener. */
export function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal?.aborted) act();
  else signal?.addEventListener('abort', act, { once: true });
  return () => signal?.removeEventListener('abort', act);
}

export const whenAborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => onAbort(signal, resolve));

/** Resolves after `ms`, or as soon as the signal fires. Never rejects: look at the signal afterwards. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Settles as the work does, or rejects with the reason of the signal as soon as that fires; the work goes on. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let withdraw = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    withdraw = onAbort(signal, () => reject(signal.reason as Error));
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    withdraw();
  }
}

/** Settles as the work does, or resolves with `late` when it takes longer than `ms`; the work goes on. */
export async function resolveWithin<T, L>(work: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<L>((resolve) => {
    timer = setTimeout(resolve, ms, late);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A signal that aborts with the first of the others, with its reason, or after `ms`, with a `TimeoutError`. `clear`: what
 * it was for is over. Keeps no process alive. Not `AbortSignal.any` of an `AbortSignal.timeout`: it does not hold what it
 * was made of, and a timeout without a reference is collected as garbage before its time and never fires.
 */
export function deadlineAfter(
  ms: number,
  ...others: readonly (AbortSignal | undefined)[]
): { readonly signal: AbortSignal; readonly clear: () => void } {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException(`nothing came of it in ${ms} ms`, 'TimeoutError')), ms);
  timer.unref();
  const all = others.filter((signal) => signal !== undefined);
  return { signal: AbortSignal.any([late.signal, ...all]), clear: () => clearTimeout(timer) };
}
