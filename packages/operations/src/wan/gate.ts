/** What keeps an image from being fetched now. Pure. */
import type { Moment } from '../clock/depot-clock.js';
import type { WaitWord } from '../records/wait-words.js';
import type { Month, WindowState } from './download-window.js';

/** Those that a running download is stopped for, and that EVerest hears of. */
export const PAUSES = [
  'operator_pause',
  'depot_pause',
  'update_budget',
  'download_window',
  'month_budget',
] as const satisfies readonly WaitWord[];
/** Those that only keep one from beginning. */
const DELAYS = ['retry_after', 'start_spread'] as const satisfies readonly WaitWord[];

export type Pause = (typeof PAUSES)[number];
export type Delay = (typeof DELAYS)[number];

export const isPause = (word: string | undefined): word is Pause => PAUSES.some((one) => one === word);
/** Those that end for all updates at once. */
export const isOfDepot = (word: string | undefined): boolean =>
  word === 'depot_pause' || word === 'download_window' || word === 'month_budget';

/** What keeps it. `until`: when that is over by itself, on the monotonic clock; absent: never. */
export interface Hold<W extends Pause | Delay = Pause | Delay> {
  readonly for: W;
  readonly until?: number;
}

/** Bytes of a month. `budget` absent: as many as it takes. */
export interface MonthUse extends Month {
  readonly down: number;
  readonly up: number;
  readonly budget?: number;
  /** Who has set another budget than that of the settings. */
  readonly budgetBy?: string;
  /** What each running fetch has still to come, by its id. */
  readonly reserved: ReadonlyMap<string, number>;
}

/** The depot as it is now. */
export interface DepotFacts {
  readonly now: Moment;
  readonly paused: boolean;
  readonly window: WindowState;
  readonly month: MonthUse;
}

/** One update. */
export interface UpdateFacts {
  readonly pausedByOperator: boolean;
  /** An operator lets it be fetched whatever the window and the budgets say. */
  readonly downloadNow: boolean;
  /** Nothing of it comes over the WAN: it is in the depot's own object store, or was brought in by hand. */
  readonly isLocal: boolean;
  /** Of its own: what its fetches brought, and what they may bring. */
  readonly brought: number;
  readonly budget?: number | undefined;
  /** Bytes that are still to come, as far as that is known; 0: it is not. */
  readonly toCome: number;
  /** The fetch that it would be part of. */
  readonly fetchId: string;
}

const monotonicOf = ({ wall, monotonic }: Moment, date: number): number => monotonic + Math.max(0, date - wall);

/** Bytes of the month that no other fetch has a claim to; `undefined`: without end. */
export function freeBytes({ budget, down, up, reserved }: MonthUse, fetchId?: string): number | undefined {
  if (budget === undefined) return undefined;
  let taken = down + up;
  for (const [id, bytes] of reserved) if (id !== fetchId) taken += bytes;
  return budget - taken;
}

/** What a running fetch of this update would have to stop for; `undefined`: nothing. */
export function pauseOf(depot: DepotFacts, update: UpdateFacts): Hold<Pause> | undefined {
  const { now, window, month } = depot;
  if (update.pausedByOperator) return { for: 'operator_pause' };
  if (depot.paused) return { for: 'depot_pause' };
  if (update.isLocal || update.downloadNow) return undefined;
  // At least one byte: what is used up is used up.
  const wanted = Math.max(1, update.toCome);
  if (update.budget !== undefined && update.brought + wanted > update.budget) return { for: 'update_budget' };
  if (!window.open) return { for: 'download_window', until: monotonicOf(now, window.until) };
  const free = freeBytes(month, update.fetchId);
  if (free !== undefined && wanted > free) return { for: 'month_budget', until: monotonicOf(now, month.endsAt) };
  return undefined;
}

/** A fetch that does not run yet. Both on the monotonic clock. */
export interface StartFacts {
  /** The server has asked for peace until then. */
  readonly quietUntil?: number;
  /** When it may begin. */
  readonly startsAt?: number;
}

/** What keeps a fetch from beginning that nothing else keeps. */
export function delayOf({ monotonic }: Moment, { quietUntil = 0, startsAt = 0 }: StartFacts): Hold<Delay> | undefined {
  if (quietUntil > monotonic) return { for: 'retry_after', until: quietUntil };
  return startsAt > monotonic ? { for: 'start_spread', until: startsAt } : undefined;
}
