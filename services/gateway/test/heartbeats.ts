import type { Presence } from '../src/mqtt/liveness/presence.js';
import { hearHeartbeat, NEVER_HEARD } from '../src/mqtt/liveness/presence.js';

/** Hear a list of [monotonic time, heartbeat id]. */
export const hearAll = (beats: readonly (readonly [number, number])[], from: Presence = NEVER_HEARD) =>
  beats.reduce((presence, [at, id]) => hearHeartbeat(presence, id, at).presence, from);
