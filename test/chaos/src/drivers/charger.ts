/** What a charger of each profile is to the experiment: real tools over slots that are files, and a journal of what ran. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { FirmwareImage } from '@khumbu/station-drivers/port';
import type { Cleanup } from '../depot/cleanup.js';
import type { Random } from '../random.js';

/** How an update would end if nobody disturbed it. */
export type Outcome = 'good' | 'unfit' | 'breaks' | 'falls back';

/** How the charger behaves from now on. */
export interface Behaviour {
  readonly outcome: Outcome;
  readonly installMs: number;
  readonly rebootMs: number;
}

/** What is really there, whatever anybody says. */
export interface Truth {
  readonly bootId: string;
  readonly running: string;
  /** The slot that would be started now. */
  readonly next: string;
  /** Name of the image that a slot holds whole; `undefined`: something else. */
  readonly holds: Readonly<Record<string, string | undefined>>;
}

/** A run of one of its programs, as the journal has it. */
export interface Run {
  readonly verb: 'install' | 'reboot';
  readonly processGroup: number;
  /** Absent: it was killed, or runs still. */
  readonly code?: number;
  /** Another one was alive when it began. */
  readonly isBesideAnother: boolean;
}

export interface ChargerImage extends FirmwareImage {
  readonly name: string;
}

export interface Charger {
  /** In the command lines of all that runs for it. */
  readonly dir: string;
  /** Its entry, without how it is reached. */
  readonly entry: Omit<RealDriverEntry, 'transport'>;
  /** One that is in no slot; fit or not as the behaviour says. */
  image(random: Random, outcome: Outcome): Promise<ChargerImage>;
  /** At rest: the running slot would be started again, and the journal is empty. */
  reset(behaviour: Behaviour): Promise<void>;
  truth(): Promise<Truth>;
  runs(): Promise<readonly Run[]>;
  /** SIGKILL to the service of the update tool, which is started again; absent: it has none. */
  killService?(): Promise<void>;
  /** The same, and it is started again only after so long. */
  keepServiceAway?(forMs: number): Promise<void>;
  /** SIGKILL to the client of the update tool that runs now, and to nothing else; false: there is none. */
  killClient?(): boolean;
  /**
   * One install may run its tool to a whole end more than once: where the tool was killed, what it wrote before is not
   * believed, also when it was whole.
   */
  readonly writesAgain?: boolean;
  /** Resolves once nothing of the tool is at work, whoever began it. */
  quiet(): Promise<void>;
  /** Processes that are part of the charger, not of an update. */
  isOwn(commandLine: string): boolean;
}

export interface ChargerKind {
  readonly name: string;
  /** Why it cannot be had on this machine; `undefined`: it can. */
  missing(): string | undefined;
  /** `stateDir` is where its driver keeps what it keeps. */
  start(cleanup: Cleanup, dir: string, stateDir: string): Promise<Charger>;
}
