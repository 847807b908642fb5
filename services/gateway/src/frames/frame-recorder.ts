/** Takes down the frames of stations as they come and go. In the way of every message: quick, and never in the way of its work. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { TopicPrefix } from '@khumbu/shared/contract/topics';
import type { Incoming } from '../mqtt/session/incoming.js';
import { createFrameRing, type Frame, type FrameRing, type KeptFrame } from './frame-ring.js';

/** A request is served up to 32 KiB; one with certificate, signature and location is below 10 kB. */
const MOST_PAYLOAD_BYTES = 16 * 1024;
const LONGEST_TOPIC = 1024;
/** What both sides say every few seconds. */
const PULSES: ReadonlySet<string> = new Set(['heartbeat', 'communication_check']);

interface Address {
  readonly station: string;
  readonly leaf: string;
}

export interface FrameRecorder {
  readonly received: (message: Pick<Incoming, 'topic' | 'payload' | 'qos' | 'dup'>) => void;
  readonly sent: (topic: string, payload: string, qos: 0 | 1, isHeard: boolean) => void;
  /** A connection has begun: from now on nothing is missed. */
  readonly listening: () => void;
  /** This gateway does not lead any more: what it holds is nobody's answer. */
  readonly forget: () => void;
  /** Oldest first. `since`: there are no holes from then on; milliseconds since 1970. */
  readonly of: (station: string) => { readonly since: number; readonly frames: readonly KeptFrame[] };
}

/** Whose frame it is; `undefined`: nobody's, or it cannot be told. Pure. */
export function addressOfFrame(prefix: TopicPrefix, topic: string): Address | undefined {
  const stripped = prefix.strip(topic);
  const match = stripped && /^everest_api\/1\/([^/]+)\/([^/]+)\/(?:e2m|m2e)\/(.+)$/.exec(stripped.rest);
  if (!match) return undefined;
  const [, type = '', moduleId = '', leaf = ''] = match;
  const station = stripped.station ?? (type === 'system' ? moduleId : undefined);
  return station === undefined ? undefined : { station, leaf };
}

const keptPart = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, MOST_PAYLOAD_BYTES)).toString('latin1');

export function createFrameRecorder(prefix: TopicPrefix, now: Now, ring: FrameRing = createFrameRing()): FrameRecorder {
  let since = now().wall;

  const add = (
    topic: string,
    bytes: Uint8Array,
    rest: Pick<Frame, 'direction' | 'qos' | 'isAgain' | 'isHeard'>,
  ): void => {
    if (topic.length > LONGEST_TOPIC) return;
    const address = addressOfFrame(prefix, topic);
    if (!address) return;
    const { station, leaf } = address;
    const frame = { at: now().wall, topic, sizeBytes: bytes.byteLength, payload: keptPart(bytes), ...rest };
    ring.add(station, frame, PULSES.has(leaf));
  };

  return {
    received: ({ topic, payload, qos, dup }) =>
      add(topic, payload, { direction: 'from_station', qos, ...(dup ? { isAgain: true } : {}) }),
    sent: (topic, payload, qos, isHeard) => add(topic, Buffer.from(payload), { direction: 'to_station', qos, isHeard }),
    listening() {
      since = now().wall;
    },
    forget: ring.clear,
    of: (station) => ({ since, frames: ring.of(station) }),
  };
}
