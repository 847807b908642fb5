/** When the embedded run is asked to stop: by a signal, or because what started it is gone. */

/** `npm run` passes Ctrl-C on, so that it comes twice at once; only a later one means "now". */
const REPEAT_MS = 1000;
const PARENT_POLL_MS = 500;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopRequest {
  /** Aborted by the first request; the reason is a word for a person. */
  readonly signal: AbortSignal;
  /** Take no more notice. */
  close(): void;
}

/** Listen from now on. `onImpatience` is called when a second signal says that all should end at once. */
export function awaitStopRequest(
  env: Readonly<Record<string, string | undefined>>,
  onImpatience: () => void,
): StopRequest {
  const request = new AbortController();
  let firstAt = 0;
  const ask = (why: string): void => {
    if (!request.signal.aborted) {
      firstAt = performance.now();
      request.abort(why);
    } else if (performance.now() - firstAt > REPEAT_MS) onImpatience();
  };
  for (const name of SIGNALS) process.on(name, ask);

  // npm and its shell may be killed without passing anything on. Started otherwise, an end of the parent means nothing.
  const parent = process.ppid;
  const poll = env.npm_lifecycle_event
    ? setInterval(
        () => process.ppid !== parent && !request.signal.aborted && ask('npm is gone'),
        PARENT_POLL_MS,
      ).unref()
    : undefined;
  return {
    signal: request.signal,
    close() {
      clearInterval(poll);
      for (const name of SIGNALS) process.off(name, ask);
    },
  };
}
