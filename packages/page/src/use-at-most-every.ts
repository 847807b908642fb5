import { useEffect, useRef, useState } from 'preact/hooks';

/** A value that changes often, as it was at most so many milliseconds ago. The last one always comes. */
export function useAtMostEvery<T>(value: T, everyMs: number): T {
  const [shown, setShown] = useState(value);
  const changedAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    const show = (): void => {
      changedAt.current = performance.now();
      setShown(() => value);
    };
    const timer = setTimeout(show, Math.max(0, changedAt.current + everyMs - performance.now()));
    return () => clearTimeout(timer);
  }, [value]);
  return shown;
}

/** Rises every so many milliseconds while it is wanted. */
export function useTicks(everyMs: number, isWanted: boolean): number {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    if (!isWanted) return;
    const timer = setInterval(() => setTicks((before) => before + 1), everyMs);
    return () => clearInterval(timer);
  }, [isWanted]);
  return ticks;
}
