/** `get_boot_reason`: what it is decided from, and what the decision stores. */
import { stationEvent } from '@khumbu/operations/events/events';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { fallbackReply } from '@khumbu/shared/contract/channels';
import { bootFields } from './boot-fields.js';
import { type BootEvidence, decideBootReason, OPEN, refinedByHost } from './decide-boot-reason.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import type { Requester } from './requester.js';
import type { Situation } from './situation.js';

/** What the leader knows of the station's liveness when the question arrives. */
export type Liveness = Omit<BootEvidence, 'state' | 'monotonicNow'>;

export function createGetBootReason({ accept, read, now }: Parts) {
  const decide = (liveness: Liveness, { requester, state, profile }: Situation): Decision => {
    if (!profile) return { kind: 'answer', reply: fallbackReply('get_boot_reason'), reason: 'station_not_configured' };
    const decision = decideBootReason({ state, ...liveness, monotonicNow: now().monotonic });
    if (decision === OPEN) return { kind: 'open', bootEpoch: state.bootEpoch };
    const { reason, beginsBoot, store } = refinedByHost(decision, {
      state,
      host: liveness.host,
      monotonicNow: now().monotonic,
    });
    if (!store) return { kind: 'answer', reply: reason };
    const { bootEpoch } = STATION_FIELDS;
    const boot = { bootEpoch: state.bootEpoch + 1, bootReason: reason };
    return {
      kind: 'answer',
      reply: reason,
      fields: bootFields(state, reason, { begins: beginsBoot, asked: true }, now()),
      expects: { fields: { [bootEpoch]: state.fields[bootEpoch] } },
      ...(beginsBoot ? { begun: true, event: stationEvent(requester.station, 'restarted', now().wall, boot) } : {}),
    };
  };

  /**
   * `begun` in the answer: this question opened a new boot. `openIn`: it is not answered, because it cannot be decided yet
   * whether it belongs to the boot with this epoch; asked again with a sign, it is.
   */
  return async (requester: Requester, liveness: Liveness): Promise<Answer & { begun: boolean }> => {
    const answer = await accept({
      channel: 'get_boot_reason',
      requester,
      read: () => read.request(requester),
      decide: (situation) => decide(liveness, situation),
    });
    return { ...answer, begun: answer.begun === true };
  };
}
