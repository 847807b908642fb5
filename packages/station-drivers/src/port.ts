/**
 * How workers act on a station. One driver object serves one station; every worker process makes its own, so all
 * truth lives on the station, none in the object.
 *
 * An *effect* changes the station and may take long: installing, rebooting, restarting EVerest. It runs on the
 * station, not in the worker: a worker that dies leaves it running, and another one finds it again by `observe`.
 * That is what makes a step safe to repeat: `start` of an effect that was already started changes nothing.
 */
import type { Readable } from 'node:stream';

/** A firmware image as a worker holds it: a local file and what was learned while it was fetched. */
export interface FirmwareImage {
  readonly path: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /**
   * Path and query by which anybody may fetch it from a gateway of the depot, for so many seconds from now. Absent: nobody may.
   * Rejects where that cannot be promised now.
   */
  readonly contentPath?: (seconds: number) => Promise<string>;
}

/**
 * - `install`: write the image to the slot that is not running and make it the next one to boot. Never touches the
 *   running slot. Done when the station would boot the new image.
 * - `reboot`: restart the host. The station boots its next slot.
 * - `restart`: restart EVerest alone.
 */
export type Effect =
  | { readonly step: 'install'; readonly operationId: string; readonly image: FirmwareImage }
  | { readonly step: 'reboot'; readonly operationId: string }
  | { readonly step: 'restart'; readonly operationId: string };

export type EffectStep = Effect['step'];

/** What became of an effect. */
export type EffectState =
  | { readonly state: 'absent' }
  | { readonly state: 'running'; readonly progressPercent?: number }
  /** `rebootNeeded` is reported by `install` alone: the image takes effect only after a reboot. */
  | { readonly state: 'succeeded'; readonly rebootNeeded?: boolean }
  /**
   * `verification_failed`: the station found the image unfit before it wrote anything that boots.
   * `failed`: anything else. `message` is for people and holds no secrets.
   */
  | { readonly state: 'failed'; readonly code: 'verification_failed' | 'failed'; readonly message: string };

/** The station's own evidence, independent of the records. */
export interface StationEvidence {
  /** Changes with every boot of the host. */
  readonly bootId: string;
  /** SHA-256 of the image the running slot was installed from; absent for a factory image. */
  readonly runningImageSha256?: string;
  /** The operation that installed the running slot; absent for a factory image. */
  readonly runningInstalledBy?: string;
  /** The running system passed the profile's own check of its health. */
  readonly healthy: boolean;
  /** Some effect is under way; no other one can be started. */
  readonly busy: boolean;
  /** What the station calls the system it runs. For people. */
  readonly version?: string;
  /** The slot it runs from, by the station's own name. */
  readonly slot?: string;
  /** Why it booted, where it knows: a `BootReason` of the contract. */
  readonly bootReason?: string;
  /** When the running slot was installed, by the station's clock; known where Khumbu installed it. */
  readonly installedAt?: Date;
}

/**
 * What a given-up operation has left at its station.
 *
 * - `nothing`: its install never began there, or failed and switched nothing.
 * - `put_back`: the slot that runs is the next one to boot again.
 * - `runs`: the station runs its image already; that was left as it is.
 * - `not_supported`: it may have made its image the next one to boot, and the profile cannot change that.
 */
export type Recovered = 'nothing' | 'put_back' | 'runs' | 'not_supported';

/** What a driver can do at its station; what it cannot is rejected with `NOT_SUPPORTED`. */
export interface Capabilities {
  readonly effects: readonly EffectStep[];
  readonly clock: boolean;
  readonly network: boolean;
  readonly logs: boolean;
}

/** How far the image has been brought to the station, in bytes; what was there already counts. */
export type TransferProgress = (sentBytes: number, sizeBytes: number) => void;

/** What a driver does at a station, as people name it. */
export const STATION_VERBS = [
  'observe',
  'install',
  'reboot',
  'restart',
  'read_clock',
  'set_clock',
  'logs',
  'network',
] as const;
export type StationVerb = (typeof STATION_VERBS)[number];

/**
 * - `can`: nothing was found that keeps it from being done now.
 * - `cannot`: something is missing; the findings say what, and what to do.
 * - `unknown`: it could not be found out without doing it.
 * - `not_needed`: the station sees to it itself, as to a clock that a time server keeps.
 * - `not_supported`: the profile has no command for it.
 */
export type VerbVerdict = 'can' | 'cannot' | 'unknown' | 'not_needed' | 'not_supported';

export interface CheckFinding {
  /** A stable word: `host_key`, `space`, `rauc_service`. */
  readonly subject: string;
  /** `missing` and `unknown` decide about the verbs that are named; `warning` is for people. */
  readonly outcome: 'ok' | 'warning' | 'missing' | 'unknown' | 'not_needed';
  /** For people; no secrets. */
  readonly text: string;
  /** What to do. */
  readonly remedy?: string;
  readonly verbs: readonly StationVerb[];
}

/** What a look at a station found. Nothing was changed by it. */
export interface DriverCheck {
  readonly verbs: Readonly<Record<StationVerb, VerbVerdict>>;
  readonly findings: readonly CheckFinding[];
  /** To the station and back; absent: it was not reached. */
  readonly latencyMs?: number;
  /** Its clock against ours; positive: it is ahead. */
  readonly clockOffsetMs?: number;
  /** Free for its state folder. */
  readonly freeBytes?: number;
}

export const LOG_TYPES = ['DiagnosticsLog', 'SecurityLog'] as const;
export type LogType = (typeof LOG_TYPES)[number];

/**
 * Records with `oldest <= time <= latest`, where a record's time is cut to whole milliseconds; an absent bound is open. So
 * windows that follow one another, the next one a millisecond after the last, have each record once.
 */
export interface LogQuery {
  readonly type: LogType;
  readonly oldest?: Date;
  readonly latest?: Date;
  /**
   * Begin with the newest records of each source alone, about a thousand, at once and without reading the rest. Each source is then
   * one stream. A driver that cannot gives all of the window.
   */
  readonly newest?: true;
  /**
   * Of `newest`: what is written from now on follows, until the signal fires or the driver's own limit has passed. The streams are to be read at the
   * same time. Default: up to the moment of the call.
   */
  readonly follow?: true;
  /** Names of sources; default: all of the type. */
  readonly sources?: readonly string[];
}

/**
 * What a reader of the logs must know of them.
 *
 * - `truncated`: it became shorter while it was read, or ends in the middle; what was there is there.
 * - `vanished`: it was listed, and was gone when its turn came.
 * - `rotated`: it got another name meanwhile, and was read under that.
 * - `grew`: more was written after the moment of the call, and is left out.
 * - `clock_set_back`: the station's clock went back between two records; all are there, in the order they were written, also those behind it
 *   whose times are before the window.
 * - `overlap`: two stretches of records have the same times, and are no copies of one another.
 * - `zone_unknown`: its records have times without a zone, and the station's is not known by its name: they may be off where the clocks
 *   were changed since.
 * - `by_file_time`: its records have no times: it is there as a whole, because of when it was written last.
 * - `no_access`: it is there and may not be read.
 * - `missing`: there is nothing where the stations file says.
 * - `not_decompressed`: neither Khumbu nor the station can; it is left out.
 * - `incomplete`: the station said something that means that records may be missing.
 * - `line_cut`: a view had a line that was too long: its rest is left out.
 * - `older_left_out`: only the newest records were asked for, and there are more in the window.
 * - `not_followed`: it can be read, and not be followed.
 */
export interface LogNote {
  readonly code:
    | 'truncated'
    | 'vanished'
    | 'rotated'
    | 'grew'
    | 'clock_set_back'
    | 'overlap'
    | 'by_file_time'
    | 'zone_unknown'
    | 'no_access'
    | 'missing'
    | 'not_decompressed'
    | 'incomplete'
    | 'line_cut'
    | 'older_left_out'
    | 'not_followed';
  /** For people; no secrets. May hold the path of a file, made readable. */
  readonly text: string;
}

/** A file, or a boot of a journal. */
export interface LogPart {
  /** Plain (`[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`) and unique in its source: names in archives come from it. */
  readonly name: string;
  /** Text records, those inside the window alone; each ends with a line end, but for a last one that has none. */
  readonly stream: Readable;
  /** Complete once the stream has ended. */
  readonly notes?: () => readonly LogNote[];
}

/** `name` is a plain word (`journal`), ours, never the station's. */
interface NamedLog {
  readonly name: string;
  /** What is to be known of the source as a whole. Complete once its stream or its last part has ended. */
  readonly notes?: () => readonly LogNote[];
}

/** Text records, one a line. */
export interface LogStream extends NamedLog {
  readonly stream: Readable;
  /**
   * There where lines of several files come mixed, as they are written: each piece of the stream is whole lines of one of them. Which
   * one, as a word that is the same for all its pieces.
   */
  readonly fileOf?: (piece: Buffer) => string | undefined;
}

/**
 * Parts come one after the other, and from the station as they are asked for: the next one when the stream of the one before
 * has ended or was destroyed. They can be iterated once. Whoever stops early ends the iteration, as `for await` does.
 */
export interface LogParts extends NamedLog {
  readonly parts: AsyncIterable<LogPart>;
}

/** One source of log records, as text, in the order they were written: that of time, unless a clock was set back. */
export type LogSource = LogStream | LogParts;

export interface NetworkSetup {
  readonly interfaceName: string;
  /** The request as received; `apn` and `vpn` inside hold secrets. */
  readonly apn?: unknown;
  readonly vpn?: unknown;
}

export interface StationDriver {
  readonly station: string;
  readonly capabilities: Capabilities;

  /**
   * Begin an effect. Idempotent per `operationId` and `step`: a repeat, at the same time from two workers or after the
   * effect has ended, starts nothing. Exclusive on the station: rejects with `STATION_BUSY` while another effect runs.
   * Resolves once the station has taken the effect on durably; it need not have ended. Rejects with
   * `STATION_UNREACHABLE` when it is not known whether it began (also a repeated `reboot` while the host boots):
   * repeat, or `observe`. Rejects with `EFFECT_RETIRED` after `retire`. Brings the image of an `install` to the station
   * first, from where an earlier try stopped; `onTransfer` is told how far it is. Rejects with `STATION_FULL` when there is
   * no room for it.
   */
  start(effect: Effect, signal: AbortSignal, onTransfer?: TransferProgress): Promise<void>;

  /**
   * No effect of this operation begins any more, by any worker and however late: a frozen worker may wake
   * up long after the operation was given up. An effect that has begun goes on. Resolves once the station has taken it
   * on durably. Safe to repeat. Rejects with `STATION_UNREACHABLE`.
   */
  retire(operationId: string, signal: AbortSignal): Promise<void>;

  /**
   * An operation whose install had begun was given up and retired: the station must not come up in its image some day. Safe
   * to repeat. Rejects with `STATION_BUSY` while an effect runs there; with `RECOVERY_FAILED` when the station could not do it,
   * with `STATION_UNREACHABLE`. Absent: as if it said `not_supported`.
   */
  recover?(operationId: string, signal: AbortSignal): Promise<Recovered>;

  /**
   * What became of an effect that was (or was not) started. Changes nothing. Rejects with `STATION_UNREACHABLE`, also
   * while the host boots: a running `reboot` is seen as that, and as `succeeded` afterwards.
   */
  observeEffect(operationId: string, step: EffectStep, signal: AbortSignal): Promise<EffectState>;

  /** The station's own testimony. Changes nothing. Rejects with `STATION_UNREACHABLE` (also while it boots). */
  observe(signal: AbortSignal): Promise<StationEvidence>;

  /** The station's clock, read now. Rejects: `STATION_UNREACHABLE`. */
  readClock(signal: AbortSignal): Promise<Date>;

  /**
   * Step the station's clock. Safe to repeat with a newer time. Rejects: `STATION_UNREACHABLE`, `CLOCK_REFUSED`, also where
   * a time service keeps it.
   */
  setClock(time: Date, signal: AbortSignal): Promise<void>;

  /**
   * Let the clock run faster or slower until it has gained `byMs` milliseconds, or lost them. Returns at once; one that still
   * goes on is replaced, so it is safe to repeat with what is left. Absent, or rejects with `NOT_SUPPORTED` and nothing has
   * happened: the station cannot. Rejects: `STATION_UNREACHABLE`, `CLOCK_REFUSED`.
   */
  slewClock?(byMs: number, signal: AbortSignal): Promise<void>;

  /**
   * Prepare a network interface; resolves with its name or address. Safe to repeat. Rejects with `NETWORK_FAILED`,
   * `STATION_UNREACHABLE`.
   */
  configureNetwork(setup: NetworkSetup, signal: AbortSignal): Promise<{ readonly interfaceAddress: string }>;

  /**
   * Open the station's logs, up to the moment of the call. Streams and parts end with the signal's reason when it fires. Rejects
   * with `LOGS_UNAVAILABLE` where no source of the type can be read, or none of `query.sources` is there, with
   * `STATION_UNREACHABLE`; a stream, and the iteration of parts, may fail with the same codes. A source that cannot be read
   * beside others that can has no records, and a note.
   */
  openLogs(query: LogQuery, signal: AbortSignal): Promise<readonly LogSource[]>;

  /**
   * Whether each verb could be done now, and what is missing. Changes nothing at the station and begins nothing there. A
   * station that cannot be reached is a finding, no error. Safe to repeat and to abort. Absent: the driver does not tell.
   */
  check?(signal: AbortSignal): Promise<DriverCheck>;
}
