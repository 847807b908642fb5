/** The security log as a person reads it: the newest entries, and older ones on demand. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { SecurityEntry } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from './context.js';
import { problemText } from './use-act.js';
import { useRead } from './use-read.js';

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

interface Part {
  readonly entries: readonly SecurityEntry[];
  readonly cursor: string | undefined;
}

/** Pages may be short and not be the last, where a filter leaves out much. */
async function readPart(
  khumbu: KhumbuClient,
  asked: AuditQuery,
  from: string | undefined,
  signal?: AbortSignal,
): Promise<Part> {
  const entries: SecurityEntry[] = [];
  let cursor = from;
  do {
    const query = { ...asked, limit: PAGE, ...(cursor === undefined ? {} : { cursor: Number(cursor) }) };
    const page = await answered(
      khumbu.GET('/v1/security-log', { params: { query }, ...(signal === undefined ? {} : { signal }) }),
    );
    entries.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && entries.length < PAGE);
  return { entries, cursor };
}

/** Read anew for another query, the same object is the same query. */
export function useSecurityLog(query: AuditQuery): SecurityLogRead {
  const { khumbu, say } = usePage();
  const newest = useRead(query, (signal) => readPart(khumbu, query, undefined, signal));
  const [longer, setLonger] = useState<{ readonly newest: Part; readonly read: Part }>();
  // Older entries of an earlier query come when they come: they belong to what they were asked for.
  const read = longer?.newest === newest ? longer?.read : newest;

  const older = async (before: Part): Promise<void> => {
    if (!newest) return;
    try {
      const { entries, cursor } = await readPart(khumbu, query, before.cursor);
      setLonger({ newest, read: { entries: [...before.entries, ...entries], cursor } });
    } catch (error) {
      say(problemText(error), true);
    }
  };
  return { entries: read?.entries, older: read?.cursor === undefined ? undefined : () => older(read) };
}
