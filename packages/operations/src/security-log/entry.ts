/** What the security log holds: facts as they are told, and entries as they are chained and shown. */

/**
 * Why something was done. `everest`: by a request of EVerest. `rest`: by a caller, whose name is given. `schedule`: by the clock.
 * `depot`: by itself, as a look at a station; the service is named. `file`: by whoever changed a file or a setting of the service
 * that is named.
 */
export type Cause = 'everest' | 'rest' | 'schedule' | 'depot' | 'file';

export interface By {
  readonly cause: Cause;
  readonly name?: string;
}

/** `asked`, `ended`: of an operation. `refused`: no operation came of the request. `done`: all the rest. */
export type Phase = 'asked' | 'refused' | 'ended' | 'done';

type Detail = string | number | boolean | readonly string[];
/** Strings, whole numbers and lists of strings: what has one canonical form. Holds no secrets. */
export type Details = Readonly<Record<string, Detail>>;

export interface SecurityFact {
  /** When it happened; milliseconds since 1970. */
  readonly at: number;
  /** The kind of an operation, the name of a request, or a word as `login`. */
  readonly what: string;
  readonly phase: Phase;
  readonly by: By;
  /** Absent: of the whole depot. */
  readonly station?: string;
  readonly operationId?: string;
  readonly ok?: boolean;
  /** A stable word. */
  readonly reason?: string;
  /** For people. */
  readonly message?: string;
  readonly details?: Details;
}

/** As it is chained, exported and shown. */
export interface SecurityEntry {
  /** From 1 on, without a gap. */
  readonly sequence: number;
  /** RFC 3339. */
  readonly at: string;
  readonly what: string;
  readonly phase: Phase;
  readonly by: By;
  readonly stationId?: string;
  readonly operationId?: string;
  readonly ok?: boolean;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: Details;
  /** The hash of the entry before; 64 zeros before the first. */
  readonly previous: string;
  /** SHA-256 of the canonical form of all the rest, lower-case hex. */
  readonly hash: string;
}

/** An entry, named by its place: what is anchored outside. */
export interface ChainPoint {
  readonly sequence: number;
  readonly hash: string;
}
