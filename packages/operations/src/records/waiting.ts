/**
 * What an operation waits for: the criterion, since when, until when at most, and who can end it. Derived from the record
 * alone, so it is right for every record, whatever version wrote it. Pure.
 */
import type { Moment } from '../clock/depot-clock.js';
import { type AnyRecord, isEnded } from './record.js';
import { type Lifter, readStoredWait, type WaitWord, waitOfWord } from './wait-words.js';

export interface Waiting {
  /** The criterion, as a stable word. */
  readonly for: WaitWord;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** When it is over at the latest, milliseconds since 1970; absent: nothing but its criterion ends it. */
  readonly until?: number;
  /** What comes at `until`: the operation goes on, fails, or ends well. */
  readonly afterwards?: 'goes_on' | 'fails' | 'ends';
  /** Who can end it, likeliest first. */
  readonly liftedBy: readonly Lifter[];
  /** More, for people. May quote a URL. */
  readonly detail?: string;
}

/** What one kind of record waits for. */
export interface WaitRules<R extends AnyRecord> {
  /** In each state, where nothing else is known; absent: the state is final. */
  readonly words: Readonly<Partial<Record<R['state'], WaitWord>>>;
  /** By what else the record says; `undefined`: the word of its state. */
  word?(record: R, now: Moment): WaitWord | undefined;
  /** Since when it waits for this; `undefined`: since its state began. */
  since?(record: R, word: WaitWord): number | undefined;
  /** The date that limits the wait for this. Milliseconds since 1970. */
  until?(record: R, word: WaitWord): number | undefined;
  /** The date that was asked for and that its state waits for: no deadline passes before. */
  asked?(record: R): number | undefined;
  /** Who can end the wait for this, where it is not as the table of words has it. */
  liftedBy?(record: R, word: WaitWord): readonly Lifter[] | undefined;
  /** Running out of time in this state is a good end. */
  endsWell?(record: R): boolean;
}

/** When the state it is in, or a run of states as these, began. */
export function stateSince(
  { history, state, updatedAt }: AnyRecord,
  isSame = (entered: string): boolean => entered === state,
): number {
  let since = updatedAt;
  for (const entry of history.toReversed()) {
    if (!isSame(entry.state)) break;
    since = entry.at;
  }
  return since;
}

/** The last one that RFC 3339 has digits for. */
const LAST_DATE = Date.UTC(9999, 11, 31, 23, 59, 59);

/** A time on the monotonic clock as a date, to the second: an estimate, right as long as the depot runs. */
const dateOfMonotonic = (monotonic: number, now: Moment): number =>
  Math.min(LAST_DATE, Math.round((now.wall + monotonic - now.monotonic) / 1000) * 1000);

/** When the state it is in becomes a failure, as a date; not before a date that was asked for. */
export function deadlineBy<R extends AnyRecord>(rules: WaitRules<R>, record: R, now: Moment): number | undefined {
  if (record.deadlineAt === undefined) return undefined;
  return Math.min(LAST_DATE, Math.max(dateOfMonotonic(record.deadlineAt, now), rules.asked?.(record) ?? 0));
}

type Found = Pick<Waiting, 'for' | 'since' | 'detail'>;

function find<R extends AnyRecord>(rules: WaitRules<R>, record: R, now: Moment): Found | undefined {
  const { endedAt, heldFor, notBefore, waitingSince, updatedAt } = record;
  const state: R['state'] = record.state;
  const read = readStoredWait(record.waitingFor);
  const stored = read && { ...read, since: waitingSince ?? updatedAt };
  if (endedAt !== undefined) {
    if (!record.slotHeld) return undefined;
    return stored ?? { for: 'station_busy', since: endedAt };
  }
  if (heldFor !== undefined) return { for: 'successor', since: record.hold?.since ?? updatedAt };
  // A pause that is over is not what it waits for any more.
  const isOver = stored && waitOfWord(stored.for).limit === 'pause' && (notBefore ?? 0) <= now.monotonic;
  const own = rules.word?.(record, now);
  // The permission is asked for with the announcement.
  const isEarly = own === 'announcement' && stored?.for.startsWith('permission') === true;
  if (stored && !isOver && !isEarly) return stored;
  const word = own ?? (isOver ? 'worker' : rules.words[state]);
  return word && { for: word, since: rules.since?.(record, word) ?? stateSince(record) };
}

type End = Pick<Waiting, 'until' | 'afterwards'>;

/** When the wait is over at the latest. */
function endOf<R extends AnyRecord>(rules: WaitRules<R>, record: R, word: WaitWord, now: Moment): End {
  const deadline = deadlineBy(rules, record, now);
  const byDeadline: End =
    deadline === undefined ? {} : { until: deadline, afterwards: rules.endsWell?.(record) ? 'ends' : 'fails' };
  const on = (until: number | undefined): End =>
    until === undefined || (deadline !== undefined && deadline < until) ? byDeadline : { until, afterwards: 'goes_on' };
  const onMonotonic = (monotonic: number | undefined): End =>
    on(monotonic === undefined ? undefined : dateOfMonotonic(monotonic, now));
  const until = rules.until?.(record, word);
  switch (waitOfWord(word).limit) {
    case 'deadline':
      return byDeadline;
    case 'pause':
      return onMonotonic(record.waitingUntil ?? record.notBefore);
    case 'successor':
      return onMonotonic(record.hold?.until);
    case 'retrieve':
    case 'install':
    case 'hold':
      return on(until);
    case 'told':
      return until === undefined ? {} : { until, afterwards: 'fails' };
  }
}

/** `undefined`: it has ended, and nothing of it is left to be done. */
export function waitingBy<R extends AnyRecord>(rules: WaitRules<R>, record: R, now: Moment): Waiting | undefined {
  const found = find(rules, record, now);
  if (!found) return undefined;
  const liftedBy = rules.liftedBy?.(record, found.for) ?? waitOfWord(found.for).liftedBy;
  return { ...found, ...endOf(rules, record, found.for, now), liftedBy };
}

/** The word as older readers know it, with the text of an error; `undefined` while a worker is at it. Pure. */
export const waitingForOf = (waiting: Waiting): string | undefined =>
  waitOfWord(waiting.for).atWork
    ? undefined
    : waiting.detail === undefined
      ? waiting.for
      : `${waiting.for}: ${waiting.detail}`;

/** The state it is in has lasted too long. Not while it waits for a date, however far the clock was set back since. */
export const isOverdueBy = <R extends AnyRecord>(rules: WaitRules<R>, record: R, now: Moment): boolean =>
  !isEnded(record) &&
  record.deadlineAt !== undefined &&
  record.deadlineAt <= now.monotonic &&
  !((rules.asked?.(record) ?? 0) > now.wall);
