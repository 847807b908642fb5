/**
 * A plain MQTT v5 client that behaves as EVerest's `system_API` module: clean start, requests at QoS 2 in its exact
 * frames, statuses at QoS 0, no reconnect. It shares no more than those frames with the station simulator and knows
 * nothing of our contract table: what it expects is written down here a second time.
 */
import { randomUUID } from 'node:crypto';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { resolveWithin } from '@khumbu/shared/runtime/abort';
import { connectAsync, type MqttClient } from 'mqtt';
import { collector, within } from './events.js';

/** How long the broker may take to let go of a client that leaves. */
const LEAVE_MS = 3000;
const ACKNOWLEDGED_MS = 30_000;

/** What came for this module below `m2e/`. */
export interface M2eMessage {
  /** The topic below `m2e/`, such as `firmware_update_status` or `reply/<uuid>`. */
  readonly leaf: string;
  readonly text: string;
  /** The parsed text; `undefined` if it is not JSON. */
  readonly json: unknown;
  readonly retain: boolean;
  /** Milliseconds on this process's monotonic clock. */
  readonly atMs: number;
}

export interface EverestClientOptions {
  readonly mqttUrl: string;
  readonly moduleId: string;
  /** EVerest's `mqtt_external_prefix`, put in front of every topic as it is. */
  readonly prefix?: string;
  /** Publish heartbeats from 0 on; default: none. */
  readonly heartbeatMs?: number;
  /** Answer discovery with these periods; default: no answer. */
  readonly discovery?: {
    readonly heartbeat_period_ms: number;
    readonly communication_check_period_s: number;
    readonly request_reply_timeout_s: number;
  };
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

/** Request id and name of a status message. */
export function readStatus(message: M2eMessage): { requestId: number; status: string } | undefined {
  const body = message.json as Record<string, unknown> | undefined;
  const status = ['firmware_update_status', 'log_status'].includes(message.leaf) ? body?.[message.leaf] : undefined;
  return typeof status === 'string' ? { requestId: Number(body?.request_id), status } : undefined;
}

/** Connect and subscribe; resolves when the broker has granted the subscriptions. */
export async function startEverestClient(options: EverestClientOptions) {
  const { moduleId, prefix = '' } = options;
  const home = `everest_api/1/system/${moduleId}`;
  const messages = collector<M2eMessage>((m) => `${m.leaf} ${m.text}`);
  const mqtt: MqttClient = await connectAsync(options.mqttUrl, {
    protocolVersion: 5,
    clean: true,
    keepalive: 20,
    reconnectPeriod: 0,
    clientId: `everest-${randomUUID()}`,
  });
  (mqtt.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  mqtt.on('error', () => {});

  const questions = [`${prefix}everest_api/query-modules/system`, `${prefix}everest_api/discover`];
  mqtt.on('message', (topic, payload, packet) => {
    const text = payload.toString('utf8');
    if (questions.includes(topic)) return answerDiscovery(text);
    const leaf = topic.slice(`${prefix}${home}/m2e/`.length);
    messages.push({ leaf, text, json: parse(text), retain: packet.retain, atMs: performance.now() });
  });

  function answerDiscovery(text: string): void {
    const replyTo = (parse(text) as { headers?: { replyTo?: string } } | undefined)?.headers?.replyTo;
    if (!replyTo || !options.discovery) return;
    const api = { type: 'system', module_id: moduleId, version: 1, communication_monitoring: options.discovery };
    mqtt.publish(`${prefix}${replyTo}`, JSON.stringify({ apis: [api] }, undefined, 2), { qos: 2 });
  }

  await mqtt.subscribeAsync([`${prefix}${home}/m2e/#`, ...(options.discovery ? questions : [])], { qos: 0 });

  let heartbeats: NodeJS.Timeout | undefined;
  const stopHeartbeats = (): void => clearInterval(heartbeats);
  /** Begin to publish heartbeats, from 0 as after a start. */
  function startHeartbeats(periodMs: number, firstId = 0): void {
    stopHeartbeats();
    let id = firstId;
    const beat = (): void => {
      if (mqtt.connected) mqtt.publish(`${prefix}${home}/e2m/heartbeat`, String(id++), { qos: 2 });
    };
    beat();
    heartbeats = setInterval(beat, periodMs);
  }
  if (options.heartbeatMs) startHeartbeats(options.heartbeatMs);

  /** Send bytes on an e2m leaf at QoS 2; resolves when the broker has them for good. */
  const publishRaw = async (leaf: string, bytes: string | Uint8Array): Promise<void> => {
    const sent = mqtt.publishAsync(`${prefix}${home}/e2m/${leaf}`, Buffer.from(bytes), { qos: 2, retain: false });
    await within(sent, ACKNOWLEDGED_MS, `the broker to acknowledge ${leaf}`);
  };

  return {
    moduleId,
    messages,
    /** Send a request; resolves with the parsed reply and how long it took. Rejects after `timeoutMs`. */
    async request(
      leaf: string,
      payload?: unknown,
      { timeoutMs = 30_000 } = {},
    ): Promise<{ reply: unknown; ms: number }> {
      const uuid = randomUUID();
      const sentAt = performance.now();
      const answer = messages.awaitItem((m) => m.leaf === `reply/${uuid}`, timeoutMs, `a reply to ${leaf}`);
      const sent = publishRaw(leaf, requestFrame(`${home}/m2e/reply/${uuid}`, payload));
      const [message] = await Promise.all([answer, sent]);
      return { reply: message.json, ms: message.atMs - sentAt };
    },
    publishRaw,
    /** `allow_firmware_installation`, as EVerest sends it: the four bytes `true`. */
    allowInstallation: () => publishRaw('allow_firmware_installation', 'true'),
    /** The status names so far for this request id, firmware and log alike, in the order they came. */
    statusNames: (requestId: number): string[] =>
      messages.items.flatMap((message) => {
        const status = readStatus(message);
        return status?.requestId === requestId ? [status.status] : [];
      }),
    /** Wait for a status of this request id; resolves with its message. */
    awaitStatus: (requestId: number, status: string, deadlineMs = 10_000): Promise<M2eMessage> =>
      messages.awaitItem(
        (message) => {
          const seen = readStatus(message);
          return seen?.requestId === requestId && seen.status === status;
        },
        deadlineMs,
        `status ${status} of request ${requestId}`,
      ),
    startHeartbeats,
    stopHeartbeats,
    /** Leave the broker; with `abruptly`, or when it does not answer, without its leave. Safe to repeat. */
    async close(abruptly = false): Promise<void> {
      stopHeartbeats();
      // Without end where a message is not acknowledged.
      const left = await resolveWithin(mqtt.endAsync(abruptly), LEAVE_MS, 'late');
      if (left === 'late') mqtt.stream.destroy();
    },
  };
}
export type EverestClient = Awaited<ReturnType<typeof startEverestClient>>;
