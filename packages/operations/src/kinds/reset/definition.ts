import type { Reason } from '../../records/reasons.js';
import type { WaitWord } from '../../records/wait-words.js';
import type { Applied, KindContext, KindDefinition, OpenState } from '../kind-definition.js';
import { applyResetEvent, RESET_TRANSITIONS, type ResetEvent, type ResetRecord } from './record.js';

/** EVerest asked for it, or notices the restart: it receives no status. */
const apply = (
  record: ResetRecord,
  event: ResetEvent,
  context: KindContext,
  detail?: { readonly reason?: Reason },
): Applied<ResetRecord> => ({ record: applyResetEvent(record, event, context, detail), statuses: [] });

export const reset = {
  scope: 'station',
  transitions: RESET_TRANSITIONS,
  waits: {
    words: {
      Accepted: 'worker',
      Resetting: 'restart',
      Restarting: 'new_boot',
    } satisfies Record<OpenState<typeof RESET_TRANSITIONS>, WaitWord>,
    endsWell: ({ state }) => state === 'Restarting',
  },
  queue: 'system-control',
  jobs: ['reset'],
  nextWork: ({ state, slotHeld }) =>
    state === 'Accepted' || state === 'Resetting' || slotHeld ? { name: 'reset' as const } : undefined,
  apply,
  onDeadline: (record, context) => apply(record, 'outOfTime', context),
  awaitsBoot: ({ state }) => state === 'Restarting',
  onBoot: (record, context) =>
    record.state === 'Restarting' && context.bootEpoch !== record.bootEpochBefore
      ? apply(record, 'restartSeen', context)
      : undefined,
  view: ({ type }) => ({ resetType: type }),
  securityDetails: ({ type, scheduled }) => ({ details: { type, scheduled } }),
} as const satisfies KindDefinition<ResetRecord, ResetEvent>;
