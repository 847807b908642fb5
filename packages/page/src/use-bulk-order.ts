import type { BulkResult } from '@khumbu/client/generated/rest-api';
import { newIdempotencyKey } from '@khumbu/client/idempotency-key';
import { useState } from 'preact/hooks';
import { usePage } from './context.js';
import type { Ordered } from './orders.js';
import { sendUntilDecided } from './send-until-decided.js';
import { problemText } from './use-act.js';

interface Told {
  /** Of the order: the same one does nothing twice. */
  readonly key: string;
  readonly what: Ordered;
  readonly send: () => Promise<BulkResult>;
  /** `undefined`: nothing was answered yet. */
  readonly result: BulkResult | undefined;
  readonly isAsking: boolean;
}

export interface BulkOrdering {
  /** The order that was made last. */
  readonly told: Told | undefined;
  /** `send` is called until each station has decided. */
  readonly order: (what: Ordered, send: (key: string) => Promise<BulkResult>) => void;
  /** Ask those stations of it again that have not decided. */
  readonly askAgain: () => void;
  /** Look at it no more. It goes on. */
  readonly close: () => void;
}

/** An order for many stations, and what becomes of it. It goes on when somebody looks at another view. */
export function useBulkOrder(): BulkOrdering {
  const { say } = usePage();
  const [told, setTold] = useState<Told>();
  const ask = async ({ key, send }: Told): Promise<void> => {
    // It may have been closed, or another one be shown by now.
    const tell = (news: Partial<Told>): void => setTold((now) => (now?.key === key ? { ...now, ...news } : now));
    tell({ isAsking: true });
    try {
      await sendUntilDecided(send, (result) => tell({ result }));
    } catch (error) {
      say(problemText(error), true);
    }
    tell({ isAsking: false });
  };
  return {
    told,
    order: (what, send) => {
      const key = newIdempotencyKey();
      const begun = { key, what, send: () => send(key), result: undefined, isAsking: true };
      setTold(begun);
      void ask(begun);
    },
    askAgain: () => {
      if (told) void ask(told);
    },
    close: () => setTold(undefined),
  };
}
