/** Why a transfer failed, in words that fit a record; whether trying again can help. */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { TransferReason } from './faults/fault.js';
import { verdictOf } from './faults/fault-table.js';
import type { Direction } from './port.js';

/** Which way, and by which scheme. */
export interface Leg {
  readonly direction: Direction;
  readonly scheme: LocationScheme;
}

/** Why a transfer ended that heard nothing of the server for too long. */
export const silenceOf = ({ direction }: Leg): TransferReason => (direction === 'get' ? 'stalled' : 'connection');

/** Code `TRANSFER_FAILED`. Messages hold neither location nor credentials. */
export class TransferError extends CodedError {
  readonly leg: Leg;
  readonly reason: TransferReason;
  /** Whether another try may end better, as the fault table has it. */
  readonly retryable: boolean;
  /** What a person can do, as the fault table has it. */
  readonly advice: string;
  /** Seconds to wait, from `Retry-After`. */
  readonly retryAfterS?: number;
  constructor(
    leg: Leg,
    reason: TransferReason,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterS?: number | undefined; readonly retryable?: boolean } = {},
  ) {
    super('TRANSFER_FAILED', message, { cause: options.cause });
    this.name = 'TransferError';
    const { retried, advice } = verdictOf(leg.direction, reason, leg.scheme);
    this.leg = leg;
    this.reason = reason;
    this.retryable = options.retryable ?? retried;
    this.advice = advice;
    if (options.retryAfterS !== undefined) this.retryAfterS = options.retryAfterS;
  }
}
