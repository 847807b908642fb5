/**
 * What the checks may do: look. Nothing is changed anywhere, and no session at the broker is touched. Everything ends within
 * seconds.
 */
import type { ObjectStoreConfig } from '@khumbu/object-store/object-store';
import type { SshTarget } from '@khumbu/station-drivers/transports/ssh/target';

export interface RedisFacts {
  /** Sections of INFO, flat. */
  readonly info: Readonly<Record<string, string>>;
  /** Absent where CONFIG may not be asked. */
  readonly appendfsync?: string;
  /** Its clock against ours, in milliseconds; positive: it is ahead. */
  readonly clockOffsetMs: number;
}

export interface BrokerFacts {
  /** What it speaks of what it was asked. */
  readonly protocol: 'MQTT 5' | 'MQTT 3.1.1' | 'none';
  /** Whether it takes clients without a user. */
  readonly isOpen: boolean;
  /** In its own words, where it speaks neither or was not reached. */
  readonly reason?: string;
  /** Limits that it tells, MQTT 5 3.2.2.3; absent: it has none. */
  readonly maximumQoS?: number;
  readonly maximumPacketSize?: number;
}

export interface FileFacts {
  readonly isFile: boolean;
  /** Permission bits. */
  readonly mode: number;
}

export interface Room {
  readonly freeBytes: number;
  readonly freeFiles: number;
  readonly isWritable: boolean;
  /** The folder that was looked at: the one above, where it is not there yet. */
  readonly folder: string;
}

export interface Answer {
  readonly status: number;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
  /** Its clock against ours, in milliseconds, to the second. */
  readonly clockOffsetMs?: number;
}

export interface Sight {
  readonly nodeVersion: string;
  readonly now: () => number;
  /** Rejects with what keeps us from it. */
  readonly redis: (url: string) => Promise<RedisFacts>;
  readonly broker: (url: string, ca: string | undefined) => Promise<BrokerFacts>;
  /** `undefined`: it is free. */
  readonly whyPortIsTaken: (port: number, host: string) => Promise<string | undefined>;
  /** Rejects where there was no answer. */
  readonly get: (url: string, key?: string) => Promise<Answer>;
  /** `undefined`: there is none. */
  readonly fileAt: (path: string) => FileFacts | undefined;
  /** Rejects where it cannot be read. */
  readonly read: (path: string) => Buffer;
  readonly roomAt: (path: string) => Room;
  /** Rejects with what the store has against a look into the bucket. */
  readonly askStore: (config: ObjectStoreConfig) => Promise<void>;
  readonly hasCommand: (names: readonly string[]) => boolean;
  /** What pins the host of a station and opens it is there and can be used; rejects with why not. */
  readonly sshFiles: (target: SshTarget) => Promise<void>;
  /** Whether the clock is kept by a time service; `undefined`: this system does not say. */
  readonly isClockSynchronized: () => Promise<boolean | undefined>;
}
