/** A request at the intake: who asks, what is decided, what is answered, and what the desk needs for it. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { Deadlines } from '@khumbu/operations/kinds/deadlines';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { OfferedRecord } from '@khumbu/operations/kinds/offer';
import type { StoredAnswer, Transaction } from '@khumbu/operations/kinds/store';
import type { Origin } from '@khumbu/operations/records/record';
import type { StationState } from '@khumbu/operations/stations/station-state';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { DecisionStore } from './decision-store.js';
import type { JudgeCertificate } from './judge-certificate.js';
import type { IsAbandoned } from './needed-workers.js';

export interface IntakeDeps {
  readonly desk: DecisionStore;
  /** The same connection recipe as the desk's; for its clock. */
  readonly redis: Redis;
  readonly jobs: Jobs;
  /** Not configured: always answered by default, and nothing is kept of it, the answer least of all. */
  readonly isRefused?: (station: string) => boolean;
  /** `undefined`: not configured, or two stations share the name. */
  readonly profileOf: (station: string) => StationProfile | undefined;
  readonly locations: Pick<LocationPolicy, 'check'>;
  readonly judgeCertificate: JudgeCertificate;
  readonly deadlines: Deadlines;
  /** How long an allowed reset keeps installs away. */
  readonly resetReservationMs: number;
  /** Nobody works on this queue. */
  readonly isAbandoned: IsAbandoned;
  /** How long the broker may keep a request whose answer is out, but not confirmed: its offer waits for that. */
  readonly redeliveryMs: number;
  readonly log: Logger;
  readonly now: Now;
}

/** Who asks. `answerKey` names the request: the same key gets the same answer. */
export interface Requester {
  readonly station: string;
  readonly answerKey: string;
  readonly origin: Origin;
  /** Certainly a new request, whatever is stored under its key. */
  readonly isFresh?: true;
  /** Who asks over REST. */
  readonly caller?: string;
  /** REST may push aside what EVerest asked for. */
  readonly replace?: boolean;
  /** How long the answer is kept, where it is not for as long as EVerest could ask again. */
  readonly answerTtlMs?: number;
}

/** What is still to be done once an answer is out. */
export type FollowUp =
  /** The offer becomes an operation; `offered`: as it was just committed. */
  | { readonly kind: 'confirm'; readonly operationId: string; readonly offered?: OfferedRecord }
  /** The operation is stored, and wants its job. */
  | { readonly kind: 'begin'; readonly record: OperationRecord | undefined }
  /** `receivedAt`: on this process' monotonic clock; `undefined`: too long ago to be worth setting. */
  | {
      readonly kind: 'set_time';
      readonly requester: Requester;
      readonly value: number;
      readonly receivedAt: number | undefined;
    };

export interface Answer {
  readonly reply: unknown;
  readonly operationId?: string;
  /** The operation as far as it is known with this answer. For REST, which shows it. */
  readonly record?: OperationRecord;
  /** Why it was refused, for logs and fleet tools: a stable word. */
  readonly reason?: string;
  /** The same as a sentence, where there is more to say than the word does. Holds no credentials. */
  readonly detail?: string;
  /** This question was the first sign of a new boot. */
  readonly begun?: boolean;
  /** It is not answered: nobody can tell yet whether it belongs to the boot with this epoch. */
  readonly openIn?: number;
  /** It was decided before, and may have been heard then. */
  readonly repeated?: true;
  /** For `confirm`, once the answer is out. Absent: nothing follows. */
  readonly followUp?: FollowUp;
}

export interface Captured {
  readonly state: StationState;
  readonly profile: StationProfile | undefined;
  readonly answer: StoredAnswer | undefined;
}

export type Decision =
  /** Keep the answer, change nothing else. */
  | {
      readonly kind: 'answer';
      readonly reply: unknown;
      readonly reason?: string;
      readonly detail?: string;
      /** The operation that begins once the answer is out. */
      readonly operationId?: string;
      /** As it will begin. */
      readonly record?: OperationRecord;
      readonly fields?: Record<string, string | undefined>;
      /** This question is the first sign of a new boot. */
      readonly begun?: true;
      /** What the decision was made from and must still be so. */
      readonly guard?: (transaction: Transaction) => void;
    }
  /** Nothing is stored: what the answer depends on is still to come. */
  | { readonly kind: 'open'; readonly bootEpoch: number }
  | {
      readonly kind: 'offer';
      readonly reply: unknown;
      readonly record: OfferedRecord;
      readonly replaces?: OfferedRecord;
    };

export const askedBy = ({ caller }: Requester): { askedBy?: string } =>
  caller === undefined ? {} : { askedBy: caller };
