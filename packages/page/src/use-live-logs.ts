/** A live view of logs, kept to its last lines. */
import type { ViewLogsOptions } from '@khumbu/client/view-logs';
import { useEffect, useRef, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { problemText } from './use-act.js';

const MOST_LINES = 1000;
/** What comes within this time is drawn at once. */
const DRAW_MS = 100;

export interface ShownLine {
  readonly number: number;
  readonly source: string;
  readonly text: string;
  readonly isNote: boolean;
}

export interface LiveLogs {
  readonly lines: readonly ShownLine[];
  readonly isOpen: boolean;
  /** Why it ended; `undefined`: it goes on, or a person has ended it. */
  readonly end: string | undefined;
  readonly begin: (options: Omit<ViewLogsOptions, 'signal'>) => void;
  readonly stop: () => void;
}

/** Ends with the view that uses it. */
export function useLiveLogs(stationId: string): LiveLogs {
  const { khumbu, say } = usePage();
  const [lines, setLines] = useState<readonly ShownLine[]>([]);
  const [isOpen, setIsOpen] = useState(false);
  const [end, setEnd] = useState<string>();
  const ending = useRef<AbortController>(undefined);
  const stop = (): void => ending.current?.abort();
  useEffect(() => stop, []);

  const read = async (options: ViewLogsOptions, signal: AbortSignal): Promise<void> => {
    let fresh: ShownLine[] = [];
    let number = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const draw = (): void => {
      timer = undefined;
      const added = fresh;
      fresh = [];
      if (!signal.aborted) setLines((before) => [...before, ...added].slice(-MOST_LINES));
    };
    try {
      for await (const line of khumbu.viewLogs(stationId, { ...options, signal })) {
        if (line.type === 'end') setEnd(line.reason);
        if (line.type !== 'record' && line.type !== 'note') continue;
        number += 1;
        fresh.push({ number, source: line.source, text: line.text, isNote: line.type === 'note' });
        timer ??= setTimeout(draw, DRAW_MS);
      }
      draw();
    } catch (error) {
      if (!signal.aborted) say(problemText(error), true);
    } finally {
      clearTimeout(timer);
      if (!signal.aborted || ending.current?.signal === signal) setIsOpen(false);
    }
  };

  return {
    lines,
    isOpen,
    end,
    begin(options) {
      stop();
      const next = new AbortController();
      ending.current = next;
      setLines([]);
      setEnd(undefined);
      setIsOpen(true);
      void read(options, next.signal);
    },
    stop,
  };
}
