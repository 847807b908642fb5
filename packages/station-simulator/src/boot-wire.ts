/**
 * The connection of one EVerest process: MQTT 5, clean start, random client id, publishes at QoS 2, subscribes at QoS 0,
 * and ends with its connection. Each topic has one handler.
 */
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { connect, type IPublishPacket, type MqttClient } from 'mqtt';
import type { EverestModuleOptions } from './everest-options.js';

const KEEPALIVE_S = 20;
const CONNECT_TIMEOUT_MS = 5000;
const GOODBYE_MS = 200;
/** rap shows whether a message was published as retained; EVerest itself does not look. */
const AS_EVEREST = { qos: 0, rap: true } as const;

interface WireHandlers {
  /** A message was published as retained. */
  retained(topic: string): void;
  /** The connection is gone, and the process with it. */
  lost(): void;
}
export type WireOptions = Pick<EverestModuleOptions, 'mqttUrl' | 'username' | 'password'>;

type Handler = (bytes: Buffer) => void;

async function openClient(options: WireOptions): Promise<MqttClient> {
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
      if (client.stream instanceof Socket) client.stream.setNoDelay(true);
      resolve();
    });
  });
  return client;
}

export class BootWire {
  readonly #client: MqttClient;
  readonly #handlers: WireHandlers;
  readonly #routes = new Map<string, Handler>();
  readonly #ended = new AbortController();
  /** What arrives with the SUBACK, before `listen`. */
  #early: [string, Buffer, IPublishPacket][] | undefined = [];

  private constructor(client: MqttClient, handlers: WireHandlers) {
    this.#client = client;
    this.#handlers = handlers;
    client.on('message', (...message) => this.#receive(...message));
    client.on('close', () => {
      if (this.ended.aborted) return;
      this.#ended.abort();
      handlers.lost();
    });
  }

  /** Rejects with `STATION_CONNECT_FAILED`. */
  static async open(options: WireOptions, handlers: WireHandlers): Promise<BootWire> {
    return new BootWire(await openClient(options), handlers);
  }

  /** Fires when the process ends, by `stop` or with its connection. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  publish(topic: string, text: string): void {
    if (!this.ended.aborted) this.#client.publish(topic, text, { qos: 2, retain: false });
  }

  route(topic: string, handler: Handler): void {
    this.#routes.set(topic, handler);
  }

  /** Subscribe to all topics that have a handler. Rejects with `STATION_CONNECT_FAILED`. */
  async subscribeRoutes(): Promise<void> {
    try {
      await this.#client.subscribeAsync([...this.#routes.keys()], AS_EVEREST);
    } catch (error) {
      this.#ended.abort();
      this.#client.end(true);
      throw new CodedError('STATION_CONNECT_FAILED', `subscribe: ${describeError(error)}`);
    }
  }

  /** One more topic, until `leave`. */
  join(topic: string, handler: Handler): void {
    this.route(topic, handler);
    this.#client.subscribe(topic, AS_EVEREST);
  }
  leave(topic: string): void {
    this.#routes.delete(topic);
    if (!this.ended.aborted) this.#client.unsubscribe(topic);
  }

  /** Messages are handled from now on. */
  listen(): void {
    const waiting = this.#early ?? [];
    this.#early = undefined;
    for (const message of waiting) this.#receive(...message);
  }

  #receive(topic: string, bytes: Buffer, packet: IPublishPacket): void {
    if (this.#early) {
      this.#early.push([topic, bytes, packet]);
      return;
    }
    const handler = this.#routes.get(topic);
    if (!handler || this.ended.aborted) return;
    if (packet.retain) this.#handlers.retained(topic);
    handler(bytes);
  }

  /** Says goodbye if the broker still listens. Safe to repeat. */
  async stop(): Promise<void> {
    if (this.ended.aborted) return;
    this.#ended.abort();
    await Promise.race([this.#client.endAsync(), delay(GOODBYE_MS, undefined, { ref: false })]);
    this.#client.stream.destroy();
  }
}
