/** Requests of one EVerest process: those of one name wait for each other, each waits for its reply or its timeout. */
import { randomUUID } from 'node:crypto';
import { channel, fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { mismatch } from '@khumbu/shared/contract/codec';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { channelTopic, type StationAddress, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { BootWire } from './boot-wire.js';
import { hasEnvelope, parseJson } from './everest-frames.js';

/** How a request ended. `reply` is what EVerest goes on with: ours, or its fallback after the timeout. */
export interface RequestOutcome {
  readonly name: RequestChannelName;
  readonly payload: unknown;
  readonly reply: unknown;
  readonly timedOut: boolean;
  /** From the publish to the reply. */
  readonly ms: number;
}

interface RequestsOptions {
  readonly wire: BootWire;
  readonly prefix: TopicPrefix;
  readonly address: StationAddress;
  readonly timeoutMs: number;
  /** Called before anything that arrives after the reply is looked at. */
  readonly ended: (outcome: RequestOutcome) => void;
  /** A reply that EVerest would drop. */
  readonly broken: (what: string) => void;
}

const stationDown = (what: string): CodedError => new CodedError('STATION_DOWN', `EVerest ended before ${what}`);

/** Sends requests. Each rejects with `STATION_DOWN` when the process ends before its reply. */
export function createRequests({ wire, prefix, address, timeoutMs, ended, broken }: RequestsOptions) {
  const queues = new Map<RequestChannelName, Promise<unknown>>();

  /** Send one request and wait for the first valid reply; anything else on the reply topic is dropped. */
  function exchange(name: RequestChannelName, payload: unknown): Promise<RequestOutcome> {
    const replyTo = `everest_api/1/system/${address.moduleId}/m2e/reply/${randomUUID()}`;
    const topic = `${prefix.of(address.station)}${replyTo}`;
    const schema = channel(name).reply?.schema;
    if (!schema) throw new TypeError(`${name} has no reply`);
    return new Promise((resolve, reject) => {
      const begun = performance.now();
      const end = (reply: unknown, timedOut: boolean): void => {
        clearTimeout(timer);
        withdraw();
        wire.leave(topic);
        const outcome = { name, payload, reply, timedOut, ms: performance.now() - begun };
        ended(outcome);
        resolve(outcome);
      };
      const timer = setTimeout(() => end(fallbackReply(name), true), timeoutMs);
      const withdraw = onAbort(wire.ended, () => {
        clearTimeout(timer);
        reject(stationDown(`${name} was answered`));
      });
      wire.join(topic, (bytes) => {
        const value = parseJson(bytes);
        const reason = value === undefined ? 'not JSON' : mismatch(schema, value);
        if (reason === undefined) end(value, false);
        else broken(`reply to ${name}: ${hasEnvelope(value) ? 'has an envelope' : reason}`);
      });
      wire.publish(channelTopic(prefix, address, name), requestFrame(replyTo, payload));
    });
  }

  return (name: RequestChannelName, payload: unknown): Promise<RequestOutcome> => {
    const next = (): Promise<RequestOutcome> => {
      if (wire.ended.aborted) throw stationDown(`${name} was sent`);
      return exchange(name, payload);
    };
    const before = queues.get(name);
    const outcome = before ? before.then(next, next) : exchange(name, payload);
    queues.set(name, outcome);
    void outcome.finally(() => queues.get(name) === outcome && queues.delete(name)).catch(() => undefined);
    return outcome;
  };
}
