/**
 * The AsyncAPI 3.0 document of the wire contract, generated from the channel table. Pure. Its names are those of
 * EVerest's own specification, so that code and knowledge made for that one fit this one.
 */
import { type JsonSchema, type NamedSchemas, referTo } from './async-api-schemas.js';
import { DISCOVERY_MESSAGES, INFO } from './async-api-texts.js';
import { CHANNELS, type Channel, type ChannelName, channel, isRequest } from './channels.js';
import type { MessageText } from './message-text.js';
import * as schema from './schemas.js';
import { channelTopic, DISCOVERY, type TopicPrefix, topicPrefix } from './topics.js';

export interface AsyncApiOptions {
  /** The topic prefix template of the deployment (`MQTT_TOPIC_PREFIX`). Default: none. */
  readonly topicPrefix?: string;
  /** Host and port of the broker, without credentials. Default: `localhost:1883`. */
  readonly brokerHost?: string;
}

/** One direction of one channel: becomes a channel, an operation and a message of the same name. */
interface Part {
  readonly name: string;
  readonly server: 'default' | 'entrypoint';
  readonly address: string | null;
  readonly action: 'send' | 'receive';
  readonly qos: 0 | 1;
  readonly text: MessageText;
  readonly payload?: JsonSchema;
  readonly replyName?: string;
  readonly parameters?: Readonly<
    Record<string, { readonly description: string; readonly examples: readonly string[] }>
  >;
}

const STATION = '{station}';
const MODULE_ID = '{module_id}';
const REPLY_QOS = 1;

/** The frame as a schema. `payload` is left out of the frame of a question that has none. */
const envelope = (payload?: JsonSchema): JsonSchema => ({
  type: 'object',
  ...(payload ? { required: ['payload'] } : {}),
  properties: {
    headers: {
      type: 'object',
      properties: {
        replyTo: {
          type: 'string',
          description: 'Topic for the reply, without prefix. Without it nothing is answered.',
        },
      },
    },
    ...(payload ? { payload } : {}),
  },
});

function payloadOf({ frame, payload, payloadOptional }: Channel, named: NamedSchemas): JsonSchema | undefined {
  if (frame === 'any') return undefined;
  if (frame === 'bare') return referTo(payload, named);
  return envelope(payloadOptional ? undefined : referTo(payload, named));
}

/** `receive_request_x` with `send_reply_x` for a request, `receive_x` for what is only told, `send_x` for ours. */
function channelParts(name: ChannelName, named: NamedSchemas): Part[] {
  const { direction, qos, text } = CHANNELS[name];
  const payload = payloadOf(channel(name), named);
  const told = { server: 'default', address: `${direction}/${name}`, qos, ...(payload ? { payload } : {}) } as const;
  if (direction === 'm2e') return [{ ...told, name: `send_${name}`, action: 'send', text }];
  if (!isRequest(name)) return [{ ...told, name: `receive_${name}`, action: 'receive', text }];
  const { schema: replySchema, fallback, text: replyText } = CHANNELS[name].reply;
  const assumed = `If no reply comes in time, EVerest assumes \`${JSON.stringify(fallback)}\`.`;
  const asked = { ...text, description: `${text.description} ${assumed}` };
  const replyName = `send_reply_${name}`;
  return [
    { ...told, name: `receive_request_${name}`, action: 'receive', text: asked, replyName },
    {
      name: replyName,
      server: 'default',
      address: null,
      action: 'send',
      qos: REPLY_QOS,
      text: replyText,
      payload: referTo(replySchema, named),
    },
  ];
}

const below = (topic: string): string => topic.slice(topic.indexOf('/') + 1);

/** How stations and their modules are found. Roles as we play them. */
function discoveryParts(named: NamedSchemas): Part[] {
  return [
    {
      name: 'send_request_query_module',
      server: 'entrypoint',
      address: below(DISCOVERY.queryTopic('{api_type}')),
      parameters: { api_type: { description: 'Kind of API to ask for.', examples: ['system', 'ocpp_consumer'] } },
      action: 'send',
      qos: 1,
      text: DISCOVERY_MESSAGES.question,
      payload: envelope(),
      replyName: 'receive_reply_query_module',
    },
    {
      name: 'receive_reply_query_module',
      server: 'entrypoint',
      address: null,
      action: 'receive',
      qos: 1,
      text: DISCOVERY_MESSAGES.answer,
      payload: referTo(schema.ApiDiscoverResponse, named),
    },
    {
      name: 'send_ready_beacon',
      server: 'entrypoint',
      address: below(DISCOVERY.readyBeacon),
      action: 'receive',
      qos: 1,
      text: DISCOVERY_MESSAGES.beacon,
      payload: referTo(schema.ReadyBeacon, named),
    },
  ];
}

const toChannel = ({ name, server, address, parameters }: Part) => ({
  address,
  servers: [{ $ref: `#/servers/${server}` }],
  ...(parameters ? { parameters } : {}),
  messages: { [name]: { $ref: `#/components/messages/${name}` } },
});

const toOperation = ({ name, action, qos, text, replyName }: Part) => ({
  title: text.title,
  description: action === 'send' ? 'Khumbu sends this to EVerest.' : 'Khumbu receives this from EVerest.',
  action,
  channel: { $ref: `#/channels/${name}` },
  bindings: { mqtt: { qos, retain: false, bindingVersion: '0.2.0' } },
  ...(replyName
    ? {
        reply: {
          address: {
            location: '$message.payload#/headers/replyTo',
            description: 'The headers are part of the MQTT payload; the specification calls them message headers.',
          },
          channel: { $ref: `#/channels/${replyName}` },
        },
      }
    : {}),
});

const toMessage = ({ name, text, payload }: Part) => ({
  name,
  contentType: 'application/json',
  title: text.title,
  description: text.description,
  ...(text.examples.length > 0 ? { examples: text.examples } : {}),
  ...(payload ? { payload } : {}),
});

function servers(prefix: TopicPrefix, host: string) {
  const address = { station: STATION, moduleId: MODULE_ID };
  const topic = channelTopic(prefix, address, 'heartbeat');
  const station = { description: 'Id of the station: the topic level that stands for it in the prefix.' };
  const module = { description: 'Id of the system_API module in the EVerest configuration.' };
  const stations = prefix.perStation ? { station } : undefined;
  const broker = { host, protocol: 'mqtt', protocolVersion: '5' } as const;
  return {
    default: {
      ...broker,
      pathname: topic.slice(0, topic.indexOf('/e2m/')),
      description: 'The topics of one system_API module.',
      variables: { ...stations, module_id: module },
    },
    entrypoint: {
      ...broker,
      pathname: `${prefix.of(STATION)}${DISCOVERY.readyBeacon.split('/', 1)[0] ?? ''}`,
      description: 'Where modules are found.',
      ...(stations ? { variables: stations } : {}),
    },
  };
}

const byName = <T>(parts: readonly Part[], to: (part: Part) => T): Record<string, T> =>
  Object.fromEntries(parts.map((part) => [part.name, to(part)]));

/** The document. Throws `CONFIG_INVALID` for a prefix template that cannot be subscribed to. AsyncAPI 3.0.0. */
export function asyncApiDocument(options: AsyncApiOptions = {}) {
  const schemas: NamedSchemas = {};
  const names = Object.keys(CHANNELS) as ChannelName[];
  const parts = [...names.flatMap((name) => channelParts(name, schemas)), ...discoveryParts(schemas)];
  return {
    asyncapi: '3.0.0',
    id: 'urn:khumbu:system_API',
    info: {
      title: 'EVerest system_API as Khumbu speaks it',
      version: '1.0.0',
      description: INFO,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: [{ name: 'EVerest' }, { name: 'SystemAPI' }],
    },
    defaultContentType: 'application/json',
    servers: servers(topicPrefix(options.topicPrefix ?? ''), options.brokerHost ?? 'localhost:1883'),
    channels: byName(parts, toChannel),
    operations: byName(parts, toOperation),
    components: { messages: byName(parts, toMessage), schemas },
  };
}
