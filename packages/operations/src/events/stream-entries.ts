/** Entries of the event streams in Redis, and pages of those that are kept there. */

import type { Redis } from 'ioredis';
import { repliesOf } from '../records/replies.js';
import { compareIds, idBefore } from './stream-ids.js';

/** How many changes are kept for subscribers that were away; trimmed roughly. */
export const EVENTS_KEPT = 20_000;
/** Pages from Redis are small: reading takes the thread that answers stations. */
const PAGE = 50;
/** Before every entry there ever was. */
const BEGINNING = '0-0';

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
  return newest?.[0] ?? BEGINNING;
}

/**
 * Whether entries of a stream are gone, as `XINFO STREAM` tells. Before 7.0 Redis did not count what was added: a stream that
 * is as long as it may be has lost some, or is about to. Pure.
 */
export function hasLostEntries(info: readonly unknown[]): boolean {
  const number = (name: string): number | undefined => {
    const at = info.indexOf(name);
    return at === -1 ? undefined : Number(info[at + 1]);
  };
  const length = number('length') ?? 0;
  const added = number('entries-added');
  return added === undefined ? length >= EVENTS_KEPT : added > length;
}

/**
 * What follows `cursor`. A cursor behind the end of the stream (Redis was emptied) is a gap, too, and so is the beginning of
 * a stream that has lost its first entries since.
 */
export async function readPage(redis: Redis, stream: string, cursor: string): Promise<Page> {
  const looks = redis
    .multi()
    .xrange(stream, `(${cursor}`, '+', 'COUNT', PAGE)
    .xrange(stream, '-', '+', 'COUNT', 1)
    .xrevrange(stream, '+', '-', 'COUNT', 1);
  const [page = [], [first] = [], [last] = []] = await repliesOf<RawEntry[][]>(looks);
  const end = last?.[0] ?? BEGINNING;
  if (compareIds(cursor, end) > 0) return { gap: { after: cursor, until: end }, entries: [] };
  const entries = page.map(readEntry);
  if (first === undefined) return { entries };
  const isCut =
    cursor === BEGINNING
      ? hasLostEntries((await redis.xinfo('STREAM', stream)) as unknown[])
      : compareIds(first[0], cursor) > 0;
  return isCut ? { gap: { after: cursor, until: idBefore(first[0]) }, entries } : { entries };
}
