/** Boot reasons at the intake. */
import { stationEvent } from '@khumbu/operations/events/events';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { fallbackReply } from '@khumbu/shared/contract/channels';
import type { Admission } from './admission.js';
import { bootFields } from './boot-fields.js';
import { type BootEvidence, decideBootReason, OPEN } from './decide-boot-reason.js';
import type { Answer, Requester } from './requester.js';

/** What the bridge knows of the station's liveness when it asks for the boot reason. */
export type Liveness = Omit<BootEvidence, 'state' | 'monotonicNow'>;

export function createBootReasons({ admit, now }: Admission) {
  /**
   * `begun` in the result: this question opened a new boot. `openIn`: it is not answered, because nobody can tell yet
   * whether it belongs to the boot with this epoch; asked again with a sign, it is.
   */
  const getBootReason = async (requester: Requester, liveness: Liveness): Promise<Answer & { begun: boolean }> => {
    const answer = await admit('get_boot_reason', requester, async ({ state, profile }) => {
      if (!profile)
        return { kind: 'answer', reply: fallbackReply('get_boot_reason'), reason: 'station_not_configured' };
      const decision = decideBootReason({ state, ...liveness, monotonicNow: now().monotonic });
      if (decision === OPEN) return { kind: 'open', bootEpoch: state.bootEpoch };
      const { reason, beginsBoot, store } = decision;
      if (!store) return { kind: 'answer', reply: reason };
      return {
        kind: 'answer',
        reply: reason,
        fields: bootFields(state, reason, { begins: beginsBoot, asked: true }, now()),
        ...(beginsBoot ? { begun: true } : {}),
        guard: (change) => {
          change.expectStation(requester.station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch]);
          const boot = { bootEpoch: state.bootEpoch + 1, bootReason: reason };
          if (beginsBoot) change.emitEvent(stationEvent(requester.station, 'restarted', now().wall, boot));
        },
      };
    });
    return { ...answer, begun: answer.begun === true };
  };

  return { getBootReason };
}
