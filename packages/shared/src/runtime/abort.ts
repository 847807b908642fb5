/** Waiting that an AbortSignal ends. */
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
