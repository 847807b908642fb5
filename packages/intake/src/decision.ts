/** What is decided about a request, as data; and what its requester gets. */
import type { StoredEvent } from '@khumbu/operations/events/events';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { OfferedRecord } from '@khumbu/operations/kinds/offer';
import type { ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import type { StoredAnswer } from '@khumbu/operations/records/transaction';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import type { RefusalReason } from './refusal-reasons.js';
import type { Requester } from './requester.js';

/** What is still to be done once an answer is out. */
export type FollowUp =
  /** The offer becomes an operation. */
  | { readonly kind: 'confirm'; readonly operationId: string }
  /** The operation is stored, and wants its job. */
  | { readonly kind: 'begin'; readonly record: OperationRecord }
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
  /** Why it was refused, for logs and fleet tools: a stable word (`RefusalReason`, or that of an earlier version). */
  readonly reason?: string;
  /** The same as a sentence, where there is more to say than the word does. Holds no credentials. */
  readonly detail?: string;
  /** What would have been accepted in place of what was refused, where that is a list. */
  readonly allowed?: readonly string[];
  /** This question was the first sign of a new boot. */
  readonly begun?: boolean;
  /** Not answered yet: it cannot be decided whether the question belongs to the boot with this epoch. */
  readonly openIn?: number;
  /** It was decided before, and the station may have received this answer then. */
  readonly repeated?: true;
  /** For `confirm`, once the answer is out. Absent: nothing follows. */
  readonly followUp?: FollowUp;
}

export type Decision =
  /** The answer is kept; of the station only `fields` change. */
  | (Omit<StoredAnswer, 'reason'> & {
      readonly kind: 'answer';
      readonly reason?: RefusalReason;
      /** The operation that begins once the answer is out, as it will begin. */
      readonly record?: OperationRecord;
      readonly fields?: Readonly<Record<string, string | undefined>>;
      /** What the decision was made from and must still be so when it is committed. */
      readonly expects?: {
        readonly fields: Readonly<Record<string, string | undefined>>;
        readonly record?: OperationRecord | undefined;
      };
      readonly begun?: true;
      readonly event?: StoredEvent;
    })
  /** Nothing is stored: what the answer depends on is still to come. */
  | { readonly kind: 'open'; readonly bootEpoch: number }
  | {
      readonly kind: 'offer';
      readonly reply: unknown;
      readonly record: OfferedRecord;
      readonly replaces: OfferedRecord | undefined;
    };

/** How to set right what a commit of unknown fate may have stored. */
export type Undo =
  | {
      readonly kind: 'revoke';
      readonly channel: RequestChannelName;
      readonly requester: Requester;
      readonly operationId?: string;
    }
  | {
      readonly kind: 'revoke_reset';
      readonly requester: Requester;
      readonly operationId: string;
      readonly replaced?: ResetRecord;
    }
  /** The answer is out: the confirmation is made again. */
  | { readonly kind: 'confirm'; readonly operationId: string };

/** A decision as it is committed. */
export interface Attempt<T> {
  /** For the caller, once the transaction is stored. */
  readonly result: T;
  /** Absent: nothing changes. */
  readonly transaction?: Transaction;
  /** The result with its records as they were stored. Absent: `result` as it is. */
  readonly onStored?: (stored: readonly OperationRecord[]) => T;
  /** Absent: the caller repeats the request, and finds it done or does it anew. */
  readonly undo?: Undo;
}
