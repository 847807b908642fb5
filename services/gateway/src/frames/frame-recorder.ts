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
  /** One has come that nothing is done with: its station sends too much. */
  readonly missed: (topic: string) => void;
  /** A connection has begun: from now on all is heard. */
  readonly listening: () => void;
  /** It has ended. */
  readonly deaf: () => void;
  /** This gateway does not lead any more: what it holds answers nothing any more. */
  readonly forget: () => void;
  /**
   * Oldest first. `since`: none is missing from then on, because it was not heard or is not kept any more; milliseconds since 1970.
   */
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

/** `elapsed`: a monotonic time in milliseconds. */
export function createFrameRecorder(
  prefix: TopicPrefix,
  now: Now,
  ring: FrameRing = createFrameRing(),
  elapsed: () => number = () => performance.now(),
): FrameRecorder {
  /** Monotonic; `undefined`: it does not listen. */
  let heardFrom: number | undefined;

  const add = (
    topic: string,
    bytes: Uint8Array,
    rest: Pick<Frame, 'direction' | 'qos' | 'isAgain' | 'isHeard'>,
  ): void => {
    const address = addressOfFrame(prefix, topic);
    if (!address) return;
    const { station, leaf } = address;
    if (topic.length > LONGEST_TOPIC) {
      ring.miss(station);
      return;
    }
    const frame = { at: now().wall, topic, sizeBytes: bytes.byteLength, payload: keptPart(bytes), ...rest };
    ring.add(station, frame, PULSES.has(leaf));
  };

  return {
    received: ({ topic, payload, qos, dup }) =>
      add(topic, payload, { direction: 'from_station', qos, ...(dup ? { isAgain: true } : {}) }),
    sent: (topic, payload, qos, isHeard) => add(topic, Buffer.from(payload), { direction: 'to_station', qos, isHeard }),
    missed(topic) {
      const address = addressOfFrame(prefix, topic);
      if (address) ring.miss(address.station);
    },
    listening() {
      heardFrom = elapsed();
    },
    deaf() {
      heardFrom = undefined;
    },
    forget() {
      heardFrom = undefined;
      ring.clear();
    },
    of(station) {
      const heardForMs = heardFrom === undefined ? 0 : elapsed() - heardFrom;
      // Counted back from now: the clock may have been set meanwhile.
      return { since: now().wall - Math.min(heardForMs, ring.wholeForMs(station)), frames: ring.of(station) };
    },
  };
}
