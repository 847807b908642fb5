import type { KindDefinition } from '../kind-definition.js';
import { SYSTEM_TIME_TTL_MS, type SystemTimeRecord } from './record.js';

export const setSystemTime = {
  scope: 'station',
  transitions: { Pending: { ended: 'Done' }, Done: { told: 'Pending' } },
  waits: {
    words: { Pending: 'clock' },
    until: ({ updatedAt }) => updatedAt + SYSTEM_TIME_TTL_MS,
  },
  queue: 'system-control',
  jobs: ['set-system-time'],
  nextWork: ({ state }) => (state === 'Pending' ? { name: 'set-system-time' as const } : undefined),
  retention: () => 'reused',
  // EVerest tells the time with every heartbeat of its CSMS: what went well would drown everything else.
  // A clock that was right, and a time that came too late, are no act.
  securityDetails({ outcome, correction }, phase) {
    if (phase === 'asked' || (outcome?.ok !== false && !correction) || outcome?.reason === 'stale') return undefined;
    const details = correction ? { correction: correction.kind, offByMs: correction.offByMs } : {};
    return { details, limit: outcome?.reason ?? 'set' };
  },
  isQuiet: ({ origin, outcome }) => origin === 'everest' && outcome?.ok !== false,
} as const satisfies KindDefinition<SystemTimeRecord>;
