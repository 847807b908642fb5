import { useEffect, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { problemText } from './use-act.js';

/** What was read last; read anew whenever one of `why` changes. `undefined`: nothing was read yet. */
export function useRead<T>(read: () => Promise<T>, why: readonly unknown[]): T | undefined {
  const { say } = usePage();
  const [value, setValue] = useState<T>();
  useEffect(() => {
    let isWanted = true;
    read().then(
      (next) => {
        if (isWanted) setValue(() => next);
      },
      (error: unknown) => say(problemText(error), true),
    );
    return () => {
      isWanted = false;
    };
  }, [...why]);
  return value;
}
