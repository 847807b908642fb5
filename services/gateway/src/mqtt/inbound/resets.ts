/** Resets. EVerest has stopped itself and waits for one: it is stored, however long that takes. */
import { anonymousAnswerKey } from '@khumbu/intake/intake';
import { readStation } from '@khumbu/operations/stations/station-state';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import type { Core } from '../core.js';
import type { Station } from '../liveness/station.js';
import type { Incoming } from '../session/incoming.js';
import type { Refusals } from './refusals.js';
import type { DoUnanswered } from './unanswered.js';

type Deps = Pick<Core, 'store' | 'intake' | 'backlogMarker' | 'limitedLog' | 'log'> & {
  readonly unanswered: DoUnanswered;
  readonly refusals: Refusals;
};

export type HandleReset = ReturnType<typeof createResets>;

export function createResets({ store, intake, backlogMarker, unanswered, refusals, limitedLog, log }: Deps) {
  /** The last reset of each station that was written down: a repeat is the same one. */
  const audited = new Map<string, string>();

  /** Allowed in this boot, perhaps hours ago (it waited for transactions), and not asked for since. */
  const isAwaited = async (station: string): Promise<boolean> => {
    const state = await readStation(store, station);
    return state.resetAllowedEpoch === state.bootEpoch || state.restartExpected !== undefined;
  };

  return ({ station }: Station, message: Incoming, request: ResetRequest): Promise<void> => {
    const { type, scheduled } = request;
    const isLate = !backlogMarker.isPassed();
    const work = async (): Promise<void> => {
      if (isLate && !(await isAwaited(station))) return refusals.bad(message.topic, 'an old reset nobody waits for');
      const requester = { station, answerKey: anonymousAnswerKey(), origin: 'everest' as const };
      const { operationId, reason } = await intake.reset(request, requester);
      const what = { station, type, scheduled, operationId, reason };
      if (operationId === undefined || audited.get(station) === operationId)
        limitedLog.info(what, 'reset asked for, and nothing new follows');
      else {
        audited.set(station, operationId);
        log.info({ audit: true, origin: 'everest', ...what }, 'reset asked for');
      }
    };
    const meaning = `${type} ${scheduled ?? false}`;
    return unanswered({ queueKey: `${station} reset`, meaning, message, what: 'a reset', work });
  };
}
