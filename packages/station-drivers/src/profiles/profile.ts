/**
 * What an update tool is to us: argument vectors for the verbs, and scripts of ours that the station needs for them. All of
 * them speak one protocol (docs/stations.md): exit 0 done, 65 the image is unfit, 75 busy, anything else failed; JSON lines on
 * standard output. A tool that says such things differently gets a script that translates, run at the station, where it goes
 * on when we do not.
 */
import type { PlannedCommand } from '../check/commands.js';
import type { StationScript } from '../station/station-program.js';
import type { ProfileCheck } from './profile-check.js';

export interface InstallJob {
  readonly operationId: string;
  /** Where the image is at the station, whole and hashed; of a profile that pulls, where it would be. */
  readonly imagePath: string;
  /** Of a profile that pulls. */
  readonly imageUrl?: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Profile {
  readonly name: string;
  /** Put into the state folder before anything else is asked. */
  readonly scripts: readonly StationScript[];
  /** What a check before use looks at, beside what all stations need. */
  readonly check: ProfileCheck;
  /** Its install fetches the image from here by itself, a gateway's URL; absent: the image is brought. */
  readonly pullsFrom?: string;
  /** Writes the image beside the running system and makes it the next to boot; busy is asked again until its time is over. */
  install(job: InstallJob): readonly string[];
  /**
   * The install of this operation ended without an end (it lost power, was killed, or ran out of time), the reboot into it
   * did not come, or it was given up before its end and has ended since. What it has switched is put back before the failure
   * is told, or as soon as the tool is idle. 75: the tool is at work still. Safe to repeat. Absent or `undefined`: it cannot.
   */
  recover?(operationId: string): readonly string[] | undefined;
  /** Those of reboot, restart and clock, with placeholders; the others are in `check`. */
  readonly commands: readonly PlannedCommand[];
  reboot(operationId: string): readonly string[];
  restart(operationId: string): readonly string[];
  /** Prints the evidence: one JSON object. */
  evidence(): readonly string[];
  /** Prints seconds since 1970. */
  readClock(): readonly string[];
  /** `undefined`: the station program sets it, unless a time server keeps it. */
  setClock(time: Date): readonly string[] | undefined;
  /** `undefined`: the station program slews it, where it can. Absent: it is not slewed there. */
  slewClock?(byMs: number): readonly string[] | undefined;
  /** `undefined`: it cannot. The request is on standard input. */
  network(interfaceName: string): readonly string[] | undefined;
  /**
   * What `network` has brought up stays: the station was reached through it. Where `network` names a checkpoint
   * (`{"checkpoint": "..."}`), the station takes everything back by itself unless this has been said.
   */
  keepNetwork?(checkpoint: string): readonly string[];
}

/** The image of an install as the station program hears of it: one that was brought has to be there when it begins. */
export const imageWord = ({ pullsFrom }: Pick<Profile, 'pullsFrom'>, sha256: string): string =>
  pullsFrom === undefined ? sha256 : `pulled:${sha256}`;
