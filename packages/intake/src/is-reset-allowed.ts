/** `is_reset_allowed`: what it is decided from, and what the decision stores. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { slotField } from '@khumbu/operations/records/keys';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { decideResetAllowed } from './decide-reset.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import type { Requester } from './requester.js';
import type { Situation } from './situation.js';

interface ResetAllowedSituation extends Situation {
  readonly update: FirmwareUpdateRecord | undefined;
}

export function createIsResetAllowed({ accept, read, resetReservationMs, now }: Parts) {
  const decide = (reserve: boolean, situation: ResetAllowedSituation): Decision => {
    const { requester, state, profile, update } = situation;
    const permission = decideResetAllowed({ profile, update });
    if (!permission.allowed) return { kind: 'answer', reply: false, reason: permission.reason };
    const reservation = {
      [STATION_FIELDS.resetReservedUntil]: String(now().monotonic + resetReservationMs),
      [STATION_FIELDS.resetReservedBy]: requester.answerKey,
      [STATION_FIELDS.resetAllowedEpoch]: String(state.bootEpoch),
    };
    // An install that begins in this very moment changes the record; an update that takes its place changes the slot.
    const expects = { fields: { [slotField('firmware_update')]: state.slot('firmware_update') }, record: update };
    return { kind: 'answer', reply: true, ...(reserve ? { fields: reservation } : {}), expects };
  };

  /** `reserve`: installs keep away until the reset. */
  return async (requester: Requester, reserve: boolean): Promise<Answer> =>
    accept({
      channel: 'is_reset_allowed',
      requester,
      async read(): Promise<ResetAllowedSituation> {
        const situation = await read.request(requester);
        return { ...situation, update: await read.inSlot(situation.state, 'firmware_update') };
      },
      decide: (situation) => decide(reserve, situation),
    });
}
