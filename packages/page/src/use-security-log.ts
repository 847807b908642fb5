/** The security log as a person reads it: the newest entries, and older ones on demand. */
import { answered } from '@khumbu/client/client';
import type { SecurityEntry } from '@khumbu/client/generated/rest-api';
import { useEffect, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { problemText } from './use-act.js';

const PAGE = 100;

/** Times in RFC 3339. Absent: whatever it is. */
export interface AuditQuery {
  readonly station?: string;
  readonly what?: string;
  readonly since?: string;
  readonly until?: string;
}

export interface SecurityLogRead {
  /** `undefined`: nothing was read yet. */
  readonly entries: readonly SecurityEntry[] | undefined;
  /** Read those before; `undefined`: there are none. */
  readonly older: (() => Promise<void>) | undefined;
}

interface Read {
  readonly entries: readonly SecurityEntry[];
  readonly cursor: string | undefined;
}

/** Read anew for another query, the same object is the same query. */
export function useSecurityLog(query: AuditQuery): SecurityLogRead {
  const { khumbu, say } = usePage();
  const [read, setRead] = useState<Read>();

  /** Pages may be short and not be the last, where a filter leaves out much. */
  const readFrom = async (before: readonly SecurityEntry[], from: string | undefined): Promise<Read> => {
    const fresh: SecurityEntry[] = [];
    let cursor = from;
    do {
      const params = { query: { ...query, limit: PAGE, ...(cursor === undefined ? {} : { cursor: Number(cursor) }) } };
      const page = await answered(khumbu.GET('/v1/security-log', { params }));
      fresh.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined && fresh.length < PAGE);
    return { entries: [...before, ...fresh], cursor };
  };

  useEffect(() => {
    let isWanted = true;
    readFrom([], undefined).then(
      (next) => {
        if (isWanted) setRead(next);
      },
      (error: unknown) => say(problemText(error), true),
    );
    return () => {
      isWanted = false;
    };
  }, [query]);

  const older = async (): Promise<void> => {
    if (!read) return;
    try {
      setRead(await readFrom(read.entries, read.cursor));
    } catch (error) {
      say(problemText(error), true);
    }
  };
  return { entries: read?.entries, older: read?.cursor === undefined ? undefined : older };
}
