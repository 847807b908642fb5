/**
 * One life of an EVerest process as the broker sees it: MQTT 5, clean start, random client id, publishes at QoS 2,
 * subscribes at QoS 0, and dies with its connection. Sources: EVerest `lib/everest/io/src/mqtt`, `framework/lib`,
 * `everest_api_module_helpers/src/ApiHelper.cpp`.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ChannelName,
  channel,
  channelNames,
  fallbackReply,
  type M2eChannelName,
  type RequestChannelName,
} from '@khumbu/shared/contract/channels';
import { mismatch } from '@khumbu/shared/contract/codec';
import type { CommunicationParameters } from '@khumbu/shared/contract/schemas';
import {
  channelTopic,
  DISCOVERY,
  OCPP_CONSUMER,
  type StationAddress,
  type TopicPrefix,
} from '@khumbu/shared/contract/topics';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { connect, type IPublishPacket, type MqttClient } from 'mqtt';
import { dump, requestFrame } from './everest-frames.js';

const KEEPALIVE_S = 20;
const CONNECT_TIMEOUT_MS = 5000;
const GOODBYE_MS = 200;

export interface BootOptions {
  readonly mqttUrl: string;
  readonly username?: string;
  readonly password?: string;
  readonly prefix: TopicPrefix;
  readonly address: StationAddress;
  /** Module id of its `ocpp_consumer_API`, if it has one. */
  readonly ocppConsumer?: string;
  readonly answersDiscovery: boolean;
  readonly monitoring: Required<CommunicationParameters>;
}

/** How a request ended. `reply` is what EVerest goes on with: ours, or its fallback after the timeout. */
export interface RequestOutcome {
  readonly name: RequestChannelName;
  readonly payload: unknown;
  readonly reply: unknown;
  readonly timedOut: boolean;
  /** From the publish to the reply. */
  readonly ms: number;
}

export interface BootHandlers {
  received(name: M2eChannelName, bytes: Buffer): void;
  /** Called before anything that arrives after the reply is looked at. */
  ended(outcome: RequestOutcome): void;
  /** Something EVerest would drop. */
  broken(what: string): void;
  /** Bytes of the answer for a latched `ocpp_consumer` variable. */
  latched(leaf: string): string;
  /** The connection is gone, and the process with it. */
  lost(): void;
}

type Handler = (bytes: Buffer) => void;

const parse = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
};

function readReplyTo(bytes: Buffer): string | undefined {
  const frame = parse(bytes) as { headers?: { replyTo?: unknown } } | null | undefined;
  const replyTo = frame?.headers?.replyTo;
  return typeof replyTo === 'string' ? replyTo : undefined;
}

const hasEnvelope = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && ('headers' in value || 'payload' in value);

async function openClient(options: BootOptions): Promise<MqttClient> {
  const client = connect(options.mqttUrl, {
    protocolVersion: 5,
    clean: true,
    clientId: randomUUID(),
    keepalive: KEEPALIVE_S,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    resubscribe: false,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
  });
  await new Promise<void>((resolve, reject) => {
    let reason = 'the connection was closed';
    client.on('error', (error) => {
      reason = describeError(error);
    });
    client.once('close', () => reject(new CodedError('STATION_CONNECT_FAILED', `broker: ${reason}`)));
    client.once('connect', () => {
      (client.stream as unknown as Partial<Socket>).setNoDelay?.(true);
      resolve();
    });
  });
  return client;
}

/** Connect and subscribe. Rejects with `STATION_CONNECT_FAILED`. */
export async function startBoot(options: BootOptions, handlers: BootHandlers) {
  const { prefix, address, monitoring } = options;
  const home = prefix.of(address.station);
  const routes = new Map<string, Handler>();
  const queues = new Map<RequestChannelName, Promise<unknown>>();
  const death = new AbortController();
  const client = await openClient(options);

  const publish = (topic: string, text: string): void => {
    if (!death.signal.aborted) client.publish(topic, text, { qos: 2, retain: false });
  };
  const apiDescription = (type: string, moduleId: string): string =>
    dump({ apis: [{ type, module_id: moduleId, version: 1, communication_monitoring: monitoring }] }, 4);

  function routeStatuses(): void {
    for (const name of channelNames('m2e') as M2eChannelName[]) {
      routes.set(channelTopic(prefix, address, name), (bytes) => {
        if (hasEnvelope(parse(bytes))) handlers.broken(`${name}: has an envelope`);
        handlers.received(name, bytes);
      });
    }
  }

  /** Each API module answers on its own. */
  function routeDiscovery(): void {
    const modules = [{ type: 'system', moduleId: address.moduleId }];
    if (options.ocppConsumer !== undefined) {
      modules.push({ type: OCPP_CONSUMER.type, moduleId: options.ocppConsumer });
    }
    const answer = (wanted: (type: string) => boolean) => (bytes: Buffer) => {
      const replyTo = readReplyTo(bytes);
      if (replyTo === undefined) return;
      for (const { type, moduleId } of modules) {
        if (wanted(type)) publish(`${home}${replyTo}`, apiDescription(type, moduleId));
      }
    };
    routes.set(
      `${home}everest_api/discover`,
      answer(() => true),
    );
    for (const { type } of modules) {
      routes.set(
        `${home}${DISCOVERY.queryTopic(type)}`,
        answer((asked) => asked === type),
      );
    }
  }

  function routeLatched(moduleId: string): void {
    for (const leaf of OCPP_CONSUMER.leaves) {
      routes.set(OCPP_CONSUMER.getTopic(prefix, address.station, moduleId, leaf), (bytes) => {
        const replyTo = readReplyTo(bytes);
        if (replyTo !== undefined) publish(`${home}${replyTo}`, handlers.latched(leaf));
      });
    }
  }

  /** What arrives with the SUBACK, before anybody is ready for it. */
  let early: Parameters<typeof receive>[] | undefined = [];

  function receive(topic: string, bytes: Buffer, packet: IPublishPacket): void {
    if (early) {
      early.push([topic, bytes, packet]);
      return;
    }
    const handler = routes.get(topic);
    if (!handler || death.signal.aborted) return;
    if (packet.retain) handlers.broken(`${topic.slice(home.length)}: published as retained`);
    handler(bytes);
  }

  /** Send one request and wait for the first valid reply; anything else on the reply topic is dropped. */
  function exchange(name: RequestChannelName, payload: unknown): Promise<RequestOutcome> {
    const replyTo = `everest_api/1/system/${address.moduleId}/m2e/reply/${randomUUID()}`;
    const topic = `${home}${replyTo}`;
    const schema = channel(name).reply?.schema;
    if (!schema) throw new TypeError(`${name} has no reply`);
    const { promise, resolve, reject } = withResolvers<RequestOutcome>();
    const begun = performance.now();
    const end = (reply: unknown, timedOut: boolean): void => {
      clearTimeout(timer);
      routes.delete(topic);
      death.signal.removeEventListener('abort', die);
      if (!death.signal.aborted) client.unsubscribe(topic);
      const outcome = { name, payload, reply, timedOut, ms: performance.now() - begun };
      handlers.ended(outcome);
      resolve(outcome);
    };
    const die = (): void => {
      clearTimeout(timer);
      reject(new CodedError('STATION_DOWN', `EVerest ended before ${name} was answered`));
    };
    const timer = setTimeout(() => end(fallbackReply(name), true), monitoring.request_reply_timeout_s * 1000);
    death.signal.addEventListener('abort', die, { once: true });
    routes.set(topic, (bytes) => {
      const value = parse(bytes);
      const reason = value === undefined ? 'not JSON' : mismatch(schema, value);
      if (reason === undefined) end(value, false);
      else handlers.broken(`reply to ${name}: ${hasEnvelope(value) ? 'has an envelope' : reason}`);
    });
    client.subscribe(topic, { qos: 0, rap: true });
    publish(channelTopic(prefix, address, name), requestFrame(replyTo, payload));
    return promise;
  }

  routeStatuses();
  if (options.answersDiscovery) routeDiscovery();
  if (options.ocppConsumer !== undefined) routeLatched(options.ocppConsumer);
  client.on('message', receive);
  client.on('close', () => {
    if (death.signal.aborted) return;
    death.abort();
    handlers.lost();
  });
  try {
    // rap shows whether a message was published as retained; EVerest itself does not look.
    await client.subscribeAsync([...routes.keys()], { qos: 0, rap: true });
  } catch (error) {
    death.abort();
    client.end(true);
    throw new CodedError('STATION_CONNECT_FAILED', `subscribe: ${describeError(error)}`);
  }

  let heartbeats: NodeJS.Timeout | undefined;
  death.signal.addEventListener('abort', () => clearInterval(heartbeats), { once: true });

  return {
    /** Commands of one name wait for each other, different ones do not. Rejects with `STATION_DOWN`. */
    request(name: RequestChannelName, payload: unknown): Promise<RequestOutcome> {
      const next = (): Promise<RequestOutcome> => {
        if (death.signal.aborted) throw new CodedError('STATION_DOWN', `EVerest ended before ${name} was sent`);
        return exchange(name, payload);
      };
      const before = queues.get(name);
      const outcome = before ? before.then(next, next) : exchange(name, payload);
      queues.set(name, outcome);
      void outcome.finally(() => queues.get(name) === outcome && queues.delete(name)).catch(() => undefined);
      return outcome;
    },
    /** Publish the bytes of a channel without a reply. */
    send: (name: ChannelName, text: string): void => publish(channelTopic(prefix, address, name), text),
    /** Publish below the station's prefix. */
    publish: (rest: string, text: string): void => publish(`${home}${rest}`, text),
    /** Messages are handled from now on. */
    listen(): void {
      const waiting = early ?? [];
      early = undefined;
      for (const message of waiting) receive(...message);
    },
    /** The beacon, then heartbeats 0, 1, 2...; no heartbeats for a period of 0 or less. */
    beginHeartbeats(): void {
      if (death.signal.aborted) return;
      publish(`${home}${DISCOVERY.readyBeacon}`, '{}');
      if (monitoring.heartbeat_period_ms <= 0) return;
      let id = 0;
      const beat = (): void => publish(channelTopic(prefix, address, 'heartbeat'), String(id++));
      beat();
      heartbeats = setInterval(beat, monitoring.heartbeat_period_ms);
    },
    /** End the process: says goodbye if the broker still listens. Safe to repeat. */
    async stop(): Promise<void> {
      if (death.signal.aborted) return;
      death.abort();
      await Promise.race([client.endAsync(), delay(GOODBYE_MS, undefined, { ref: false })]);
      client.stream.destroy();
    },
  };
}
export type EverestBoot = Awaited<ReturnType<typeof startBoot>>;

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
