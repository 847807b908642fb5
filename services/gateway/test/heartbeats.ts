/** Presence from lists of heartbeats. */
import { hearHeartbeat, NEVER_HEARD, type Presence } from '../src/mqtt/liveness/presence.js';

/** Hear a list of [monotonic time, heartbeat id]. */
export const hearAll = (beats: readonly (readonly [number, number])[], from: Presence = NEVER_HEARD): Presence =>
  beats.reduce((presence, [at, id]) => hearHeartbeat(presence, id, at).presence, from);
