/** `is_reset_allowed`: what it is decided from, and what the decision stores. */
import { slotField } from '@khumbu/operations/records/keys';
import { resetReservedMs, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { decideResetAllowed } from './decide-reset.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import type { Requester } from './requester.js';
import type { SituationInSlot } from './situation.js';

export function createIsResetAllowed({ accept, read, resetReservationMs, now }: Parts) {
  const decide = (reserve: boolean, situation: SituationInSlot<'firmware_update'>): Decision => {
    const { requester, state, profile, current: update } = situation;
    const permission = decideResetAllowed({ profile, update });
    if (!permission.allowed) return { kind: 'answer', reply: false, reason: permission.reason };
    const { monotonic } = now();
    const reservedMs = resetReservedMs(state, monotonic);
    const isShared = reservedMs > 0 && state.resetReservedBy !== requester.answerKey;
    const { resetReservedUntil, resetReservedBy, resetAllowedEpoch, bootEpoch } = STATION_FIELDS;
    const reservation = {
      [resetReservedUntil]: String(monotonic + Math.max(resetReservationMs, reservedMs)),
      // If two questions count on it, neither revokes it: it lapses.
      [resetReservedBy]: isShared ? undefined : requester.answerKey,
      [resetAllowedEpoch]: String(state.bootEpoch),
    };
    // An install that begins in this very moment changes the record; an update that takes its place changes the slot; a boot
    // ends the reservation of the one before; another question reserves as well.
    const decidedFrom = [slotField('firmware_update'), bootEpoch, resetReservedUntil, resetReservedBy];
    const fields = Object.fromEntries(decidedFrom.map((field) => [field, state.fields[field]]));
    const expects = { fields, record: update };
    return { kind: 'answer', reply: true, ...(reserve ? { fields: reservation } : {}), expects };
  };

  /** `reserve`: installs keep away until the reset. */
  return async (requester: Requester, reserve: boolean): Promise<Answer> =>
    accept({
      channel: 'is_reset_allowed',
      requester,
      read: () => read.requestInSlot(requester, 'firmware_update'),
      decide: (situation) => decide(reserve, situation),
    });
}
