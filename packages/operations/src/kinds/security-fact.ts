/** What the security log is told of operations: each that was asked for, and how it ended. Pure. */
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { Moment } from '../clock/depot-clock.js';
import type { ToldFact } from '../security-log/append-fact.js';
import type { By } from '../security-log/entry.js';
import { definitionOf, isOfStation, type OperationRecord, shownStatus } from './kinds.js';

/** Who asked for it. */
const askedFor = ({ origin, askedBy }: Pick<OperationRecord, 'origin' | 'askedBy'>): By => ({
  cause: origin,
  ...(askedBy === undefined ? {} : { name: askedBy }),
});

/** `undefined`: nothing is told. */
export function securityFactOf(record: OperationRecord, phase: 'asked' | 'ended', now: Moment): ToldFact | undefined {
  if (!isOfStation(record)) return undefined;
  const definition = definitionOf(record);
  const told = definition.securityDetails ? definition.securityDetails(record, phase) : { details: {} };
  if (!told) return undefined;
  const { id: operationId, kind: what, station, outcome } = record;
  const end = outcome && {
    ok: outcome.ok,
    ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
    ...(outcome.message === undefined ? {} : { message: withoutCredentials(outcome.message) }),
  };
  const status = phase === 'ended' ? { status: shownStatus(record) } : {};
  return {
    fact: {
      at: now.wall,
      what,
      phase,
      by: askedFor(record),
      station,
      operationId,
      ...(phase === 'ended' ? end : {}),
      details: { ...told.details, ...status },
    },
    ...(told.limit === undefined ? {} : { limit: `${what}:${told.limit}:${station}` }),
  };
}
