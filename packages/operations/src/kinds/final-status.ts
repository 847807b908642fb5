import type { OutboxEntry } from '../outbox/entry.js';
import { type AnyKind, KINDS } from './kinds.js';

const DEFINITIONS: readonly AnyKind[] = Object.values(KINDS);

/** Whether it ends what it speaks of, whatever dialect it was translated to. Pure. */
export function isFinalStatus({ channel, payload }: Pick<OutboxEntry, 'channel' | 'payload'>): boolean {
  const status = DEFINITIONS.find((one) => one.status?.channel === channel)?.status;
  return status?.isFinal(payload as Readonly<Record<string, unknown>>) ?? false;
}
