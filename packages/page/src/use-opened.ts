import { useRef, useState } from 'preact/hooks';

export interface Opened<T> {
  readonly what: T;
  /** Another one for each opening. */
  readonly key: number;
  readonly close: () => void;
}

/**
 * What a dialog is open for, and what opens it. A browser tells late that a dialog was closed: who has opened it again by then has
 * another one, which that does not close.
 */
export function useOpened<T>(): readonly [Opened<T> | undefined, (what: T) => void] {
  const [opened, setOpened] = useState<Opened<T>>();
  const count = useRef(0);
  const open = (what: T): void => {
    count.current += 1;
    const key = count.current;
    const close = (): void => setOpened((now) => (now?.key === key ? undefined : now));
    setOpened({ what, key, close });
  };
  return [opened, open];
}
