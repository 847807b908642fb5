/**
 * Topic names. EVerest puts `mqtt_external_prefix` in front of every topic by plain concatenation, and leaves it out
 * of `headers.replyTo`. With `{station}` in the prefix template the station's id is that topic level; without it,
 * it is the module id.
 */
import { CodedError } from '../runtime/errors.js';
import { type ChannelName, channel } from './channels.js';

const PLACEHOLDER = '{station}';
const API = 'everest_api/1';

export interface StationAddress {
  /** Our id of the station. */
  readonly station: string;
  /** The id of its `system_API` module. */
  readonly moduleId: string;
}

/**
 * A topic level that can stand for a station, a module or a reply: no separator, no wildcard, and nothing for which a
 * broker closes the connection of its publisher (control characters, lone surrogates, non-characters; MQTT 5, 1.5.4).
 */
export const isTopicLevel = (text: string): boolean =>
  text.length > 0 && text.length <= 128 && !/[/+#\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(text);

/** A whole topic that a broker lets us publish on. */
export const isPublishable = (topic: string): boolean =>
  topic.length > 0 && !/[+#\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(topic) && Buffer.byteLength(topic) <= 65_535;

/** Read the template. Throws `CONFIG_INVALID` for one that cannot be subscribed to. */
export function topicPrefix(template: string) {
  const parts = template.split(PLACEHOLDER);
  const [before = '', after = ''] = parts;
  const wholeLevel = (before === '' || before.endsWith('/')) && after.startsWith('/');
  if (parts.length > 2 || (parts.length === 2 && !wholeLevel)) {
    throw new CodedError(
      'CONFIG_INVALID',
      'MQTT_TOPIC_PREFIX: {station} must be one whole topic level, as in depot/{station}/',
    );
  }
  if (/[+#\p{Cc}]/u.test(template) || template.startsWith('$')) {
    throw new CodedError('CONFIG_INVALID', 'MQTT_TOPIC_PREFIX has no wildcards and does not begin with $');
  }
  const perStation = parts.length === 2;
  return {
    template,
    perStation,
    /** The prefix of one station. */
    of: (station: string): string => parts.join(station),
    /** The prefix with `+` for the station, for subscriptions. */
    wildcard: parts.join('+'),
    /** Split `topic` into the station's prefix level (if the template has one) and the rest; `undefined`: not ours. */
    strip(topic: string): { readonly station?: string; readonly rest: string } | undefined {
      if (!topic.startsWith(before)) return undefined;
      if (!perStation) return { rest: topic.slice(before.length) };
      const end = topic.indexOf('/', before.length);
      if (end < 0 || !topic.startsWith(after, end)) return undefined;
      const station = topic.slice(before.length, end);
      return isTopicLevel(station) ? { station, rest: topic.slice(end + after.length) } : undefined;
    },
  };
}

export type TopicPrefix = Readonly<ReturnType<typeof topicPrefix>>;

const directed = (name: ChannelName): string => `${channel(name).direction}/${name}`;

/** The topic of a channel at one station. */
export const channelTopic = (prefix: TopicPrefix, address: StationAddress, name: ChannelName): string =>
  `${prefix.of(address.station)}${API}/system/${address.moduleId}/${directed(name)}`;

/** The subscription for a channel at all stations. */
export const channelFilter = (prefix: TopicPrefix, name: ChannelName): string =>
  `${prefix.wildcard}${API}/system/+/${directed(name)}`;

/** The sender and the channel leaf: the part `{type}/{module_id}/e2m/{leaf}` of an API topic. */
export function parseApiTopic(
  prefix: TopicPrefix,
  topic: string,
): (StationAddress & { readonly type: string; readonly leaf: string }) | undefined {
  const stripped = prefix.strip(topic);
  const match = stripped && /^everest_api\/1\/([^/]+)\/([^/]+)\/e2m\/(.+)$/.exec(stripped.rest);
  if (!match) return undefined;
  const [, type = '', moduleId = '', leaf = ''] = match;
  if (!isTopicLevel(moduleId)) return undefined;
  return { type, moduleId, leaf, station: stripped.station ?? moduleId };
}

/**
 * Where the reply goes, or `undefined` if `replyTo` is outside the station's own reply topics.
 * `replyTo` comes without the prefix; ours is put in front.
 */
export function replyTopic(prefix: TopicPrefix, address: StationAddress, replyTo: string): string | undefined {
  const home = `${API}/system/${address.moduleId}/m2e/reply/`;
  const tail = replyTo.slice(home.length);
  return replyTo.startsWith(home) && isTopicLevel(tail) ? `${prefix.of(address.station)}${replyTo}` : undefined;
}

/** Discovery: questions go to these, without prefix. */
export const DISCOVERY = {
  /** Ask all modules of one kind. */
  queryTopic: (type: string): string => `everest_api/query-modules/${type}`,
  /** Published by a station that has started. */
  readyBeacon: 'everest_api/ready_beacon',
  /** Where we want the answers: below `everest_api/`, so that a station's bridge and ACL let them pass. */
  answerTopic: (id: string): string => `everest_api/khumbu/discovered/${id}`,
  answerFilter: 'everest_api/khumbu/discovered/+',
} as const;

/**
 * The `ocpp_consumer_API` topics with the state of the station's CSMS link, and with what becomes of its transactions; each
 * has a latched `/get`.
 */
export const OCPP_CONSUMER = {
  type: 'ocpp_consumer',
  leaves: ['boot_notification_response', 'connection_status', 'ocpp_transaction_event'] as const,
  filter: (prefix: TopicPrefix, leaf: string): string => `${prefix.wildcard}${API}/ocpp_consumer/+/e2m/${leaf}`,
  getTopic: (prefix: TopicPrefix, station: string, moduleId: string, leaf: string): string =>
    `${prefix.of(station)}${API}/ocpp_consumer/${moduleId}/m2e/${leaf}/get`,
} as const;

/** Of `evse_security_consumer_API`: whether the certificate store of EVerest has a certificate of its own of a kind. */
export const EVSE_SECURITY = {
  leafTopic: (prefix: TopicPrefix, station: string, moduleId: string): string =>
    `${prefix.of(station)}${API}/evse_security_consumer/${moduleId}/m2e/get_leaf_certificate_info`,
  /** Kinds that EVerest keeps a key for. */
  leaves: ['CSMS', 'V2G'] as const,
} as const;
export type CertificateLeaf = (typeof EVSE_SECURITY.leaves)[number];
