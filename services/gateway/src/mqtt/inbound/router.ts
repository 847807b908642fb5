/** Routes a message by its topic and the channel table to the part that handles it. */
import { channelNames, type E2mChannelName } from '@khumbu/shared/contract/channels';
import { decode } from '@khumbu/shared/contract/codec';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import { DISCOVERY, OCPP_CONSUMER, parseApiTopic, type StationAddress } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import type { CertificateStore } from '../liveness/certificate-store.js';
import type { OcppSide } from '../liveness/ocpp-side.js';
import { PROVES_LISTENING, provenListening } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';
import type { StatusPublisher } from '../outbound/status-publisher.js';
import type { Classified, Incoming } from '../session/incoming.js';
import type { Discovery } from './discovery.js';
import type { HeartbeatHandler } from './heartbeat-handler.js';
import type { HeartbeatTopics } from './heartbeat-topics.js';
import type { HandlePermission } from './permissions.js';
import type { Refusals } from './refusals.js';
import type { HandleRequest } from './requests.js';
import type { HandleReset } from './resets.js';

const TOO_MANY = 'more than one station may send';

const RECEIVED: readonly string[] = channelNames('e2m');

/** The channel of a station's message; `undefined`: there is none such. */
export const channelOf = (leaf: string): E2mChannelName | undefined =>
  RECEIVED.includes(leaf) ? (leaf as E2mChannelName) : undefined;

type Deps = Pick<Core, 'prefix' | 'registry' | 'backlogMarker' | 'metrics' | 'limitedLog'> & {
  readonly heartbeatTopics: HeartbeatTopics;
  readonly heartbeats: HeartbeatHandler;
  readonly request: HandleRequest;
  readonly reset: HandleReset;
  readonly permission: HandlePermission;
  readonly refusals: Refusals;
  readonly discovery: Discovery;
  readonly ocppSide: OcppSide;
  readonly certificateStore: CertificateStore;
  readonly publisher: StatusPublisher;
};

type How = 'serve' | 'refuse';
type Handled = Promise<void> | void;
/** A rejection means that the session is over before the work was done: the message comes again to the next one. */
export type OnMessage = (message: Incoming, how: How) => Handled;

function createStationMessages(deps: Deps) {
  const { heartbeatTopics, heartbeats, refusals, publisher, metrics } = deps;

  const heartbeat = (entry: Station, { topic, payload }: Incoming, how: Classified['how']): void => {
    metrics.heard('heartbeat');
    const decoded = decode('heartbeat', payload);
    if (how !== 'serve') refusals.bad(topic, TOO_MANY);
    else if (decoded.ok) heartbeats.heartbeat(entry, decoded.payload as number);
    else refusals.bad(topic, decoded.reason);
  };

  /** A message of a listed station. */
  const message = (leaf: string, entry: Station, message: Incoming, how: How): Handled => {
    const name = channelOf(leaf);
    if (!name) return refusals.bad(message.topic, 'no such channel');
    entry.dirty = true;
    if (name === 'heartbeat') {
      heartbeatTopics.add(message.topic, entry);
      return heartbeat(entry, message, how);
    }
    metrics.heard(name);
    const decoded = decode(name, message.payload);
    entry.lastMessageAt = performance.now();
    if (how === 'refuse' || !decoded.ok) {
      const reason = decoded.ok ? TOO_MANY : decoded.reason;
      return refusals.refuse(name, entry, message, decoded.replyTo, reason);
    }
    if (PROVES_LISTENING.has(name)) {
      entry.presence = provenListening(entry.presence, performance.now());
      publisher.heard(entry.station);
    }
    if (name === 'reset') return deps.reset(entry, message, decoded.payload as ResetRequest);
    if (name === 'allow_firmware_installation') return deps.permission(entry, message);
    return deps.request(name, entry, message, decoded);
  };

  return { heartbeat, message };
}

export function createRouter(deps: Deps): OnMessage {
  const {
    prefix,
    registry,
    heartbeatTopics,
    heartbeats,
    refusals,
    discovery,
    ocppSide,
    certificateStore,
    backlogMarker,
  } = deps;
  const ofStation = createStationMessages(deps);

  /** There is no room for its station: it is answered as an unconfigured one is, and not remembered. */
  const unlisted = (address: StationAddress & { leaf: string }, message: Incoming): Promise<void> => {
    const name = channelOf(address.leaf);
    const decoded = name && decode(name, message.payload);
    return refusals.refuse(name, address, message, decoded?.replyTo, 'too many unknown stations');
  };

  const systemApi = (address: StationAddress & { leaf: string }, message: Incoming, how: How): Handled => {
    const met = registry.meet(address);
    if (!met) return unlisted(address, message);
    const { entry, isNew } = met;
    if (isNew) {
      deps.metrics.unconfigured.set(registry.unconfigured());
      const { station, moduleId } = entry;
      deps.limitedLog.info({ station, moduleId }, 'a station is heard for the first time');
      discovery.ask(station);
      // Listed at once, but nothing waits for it: messages keep their order.
      void registry.flushSoon();
    }
    return ofStation.message(address.leaf, entry, message, how);
  };

  /** Without a prefix per station it is not known whose modules have started, unless there is only one station. */
  const beacon = (station: string | undefined): void => {
    const [only, another] = registry.all();
    const entry = station === undefined ? (another ? undefined : only) : registry.get(station);
    if (entry) heartbeats.beacon(entry);
    discovery.ask(station ?? '');
  };

  return (message, how) => {
    const { topic, payload } = message;
    const known = heartbeatTopics.find(topic);
    if (known) return ofStation.heartbeat(known, message, how);
    if (topic === backlogMarker.topic) return backlogMarker.hear(payload);
    const api = parseApiTopic(prefix, topic);
    if (api?.type === 'system') return systemApi(api, message, how);
    if (how === 'refuse') return refusals.bad(topic, TOO_MANY);
    if (api?.type === OCPP_CONSUMER.type) return ocppSide.hearPublished(api.station, api.leaf, payload);
    const stripped = prefix.strip(topic);
    if (stripped?.rest === DISCOVERY.readyBeacon) return beacon(stripped.station);
    if (!ocppSide.hearLatched(topic, payload) && !certificateStore.hear(topic, payload)) discovery.hear(topic, payload);
  };
}
