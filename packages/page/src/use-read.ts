import { useEffect, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { problemText } from './use-act.js';

/**
 * What was read last; read anew whenever one of `why` changes. `undefined`: nothing was read yet. `tell`: why it could not be read,
 * and `undefined` when it could; without it a problem is said to the person.
 */
export function useRead<T>(
  read: () => Promise<T>,
  why: readonly unknown[],
  tell?: (problem: string | undefined) => void,
): T | undefined {
  const { say } = usePage();
  const [value, setValue] = useState<T>();
  useEffect(() => {
    let isWanted = true;
    read().then(
      (next) => {
        if (!isWanted) return;
        setValue(() => next);
        tell?.(undefined);
      },
      (error: unknown) => {
        if (!isWanted) return;
        if (tell) tell(problemText(error));
        else say(problemText(error), true);
      },
    );
    return () => {
      isWanted = false;
    };
  }, [...why]);
  return value;
}
