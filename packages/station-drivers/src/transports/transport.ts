/** How a process is begun at a station. That is all that a transport does; the rest is built on it once for all. */
import type { Readable, Writable } from 'node:stream';

/** `lost`: whether and how it ended is not known. */
export type ProcessEnd = { readonly code: number } | { readonly signal: string } | { readonly lost: string };

export interface StationProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when it has ended and its output is complete, or when the way to it is lost. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /**
   * Nothing more is wanted of it: its input ends, its output is thrown away. The process may go on; it is ended by its name
   * at the station. Safe to repeat.
   */
  letGo(): void;
}

export interface Transport {
  readonly name: string;
  /**
   * Begin a program by its argument vector: no word of it is ever read as shell code. Rejects with `STATION_UNREACHABLE`
   * when it is not known whether it began, with the reason of the signal, and with `ARGUMENT_REFUSED` for a word with NUL.
   */
  begin(argv: readonly string[], signal: AbortSignal): Promise<StationProcess>;
}
