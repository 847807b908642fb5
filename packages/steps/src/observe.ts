/** What a host testified goes into the store, in the commit of what it was asked for, or in one of its own. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { firmwareEvent, type HostEvidence, observedHost } from '@khumbu/operations/stations/observed-host';
import { STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';

/** `asked`: when the look began. */
export function noteEvidence(
  transaction: Transaction,
  station: string,
  { observed, bootEpoch }: Pick<StationState, 'observed' | 'bootEpoch'>,
  evidence: HostEvidence,
  asked: Moment,
): Transaction {
  const next = observedHost(observed, evidence, { bootEpoch, asked });
  const event = firmwareEvent(station, observed, next);
  transaction.setStation(station, { [STATION_FIELDS.observed]: JSON.stringify(next) });
  return event ? transaction.emitEvent(event) : transaction;
}
