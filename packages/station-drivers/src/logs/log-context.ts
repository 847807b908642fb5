/** What all sources of one query are read by. */
import type { Readable } from 'node:stream';
import type { StationText } from '../station-text.js';
import type { Listing } from './listing.js';
import type { LogWindow } from './log-window.js';

type LogVerb = `${'' | 'newest-' | 'follow-'}${'journal' | 'files'}`;

export interface LogContext {
  readonly window: LogWindow;
  readonly texts: StationText;
  readonly now: Listing['now'];
  /** How far a clock that was right can have come, in milliseconds: where it says more, it was set wrong. */
  readonly furthest: number;
  /** Begins a verb of khumbu-logs.sh: its output. */
  begin(verb: LogVerb, words: readonly string[], input: string, onSaid?: (text: string) => void): Promise<Readable>;
  /** What there is now. */
  list(globs: readonly string[]): Promise<Listing>;
  /** Hard to guess, so that it stands in no log. */
  boundary(): string;
}
