/** Resolves after so many milliseconds; rejects with the signal's reason when it fires. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}

/** A signal that fires with another one, or by `end`; `release` once it is not waited for any more. */
export function abortable(parent: AbortSignal | undefined) {
  const own = new AbortController();
  const end = (): void => own.abort(parent?.reason);
  parent?.addEventListener('abort', end, { once: true });
  if (parent?.aborted) end();
  return { signal: own.signal, end, release: (): void => parent?.removeEventListener('abort', end) };
}
