/** Entries of the event streams in Redis, and pages of those that are kept there. */

import type { Redis } from 'ioredis';
import { repliesOf } from '../records/replies.js';
import { compareIds, idBefore } from './stream-ids.js';

/** Pages from Redis are small: reading takes the thread that answers stations. */
const PAGE = 50;

export interface Entry {
  readonly id: string;
  readonly type: string;
  readonly station: string;
  readonly kind: string;
  /** JSON of the event. */
  readonly data: string;
}

export interface Page {
  /** Entries between these ids are not kept any more. */
  readonly gap?: { readonly after: string; readonly until: string };
  readonly entries: readonly Entry[];
}

export type RawEntry = [id: string, fields: string[]];

export function readEntry([id, fields]: RawEntry): Entry {
  const values = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i] ?? '', fields[i + 1] ?? '');
  const value = (name: string): string => values.get(name) ?? '';
  return { id, type: value('type'), station: value('station'), kind: value('kind'), data: value('event') };
}

export async function newestId(redis: Redis, stream: string): Promise<string> {
  const [newest] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  return newest?.[0] ?? '0-0';
}

/** What follows `cursor`. A cursor behind the end of the stream (Redis was emptied) is a gap, too. */
export async function readPage(redis: Redis, stream: string, cursor: string): Promise<Page> {
  const looks = redis
    .multi()
    .xrange(stream, `(${cursor}`, '+', 'COUNT', PAGE)
    .xrange(stream, '-', '+', 'COUNT', 1)
    .xrevrange(stream, '+', '-', 'COUNT', 1);
  const [page = [], [first] = [], [last] = []] = await repliesOf<RawEntry[][]>(looks);
  const end = last?.[0] ?? '0-0';
  if (compareIds(cursor, end) > 0) return { gap: { after: cursor, until: end }, entries: [] };
  const entries = page.map(readEntry);
  const isCut = first !== undefined && cursor !== '0-0' && compareIds(first[0], cursor) > 0;
  return isCut ? { gap: { after: cursor, until: idBefore(first[0]) }, entries } : { entries };
}
