/**
 * Receives every message of the broker and separates ours from theirs: what hostile clients publish carries a mark as a user
 * property, what the gateway publishes does not.
 */
import { connectAsync, type IPublishPacket } from 'mqtt';

export const MARK = 'hostile';

export interface Spy {
  /** An answer is due on this topic, once, with this text. */
  expect(topic: string, text: string): void;
  /** Answers that are due and have not come. */
  readonly open: ReadonlyMap<string, string>;
  /** Answers that came as they should. */
  readonly answered: number;
  /** What the gateway published and should not have; the first ones, and how many in all. */
  readonly faults: readonly string[];
  readonly faultCount: number;
  /** Resolves when nothing is due any more, or after so long. */
  settled(deadlineMs: number): Promise<void>;
  /** Nothing more is waited for. */
  forget(): void;
  close(): Promise<void>;
}

export interface SpyOptions {
  readonly mqttUrl: string;
  /** Whether the gateway may publish there unasked: checks, statuses, discovery. */
  readonly mayPublish: (topic: string) => boolean;
  /** For what the gateway asks of modules. */
  readonly onQuestion: (topic: string, replyTo: string) => void;
}

const FAULTS_KEPT = 20;

export async function startSpy({ mqttUrl, mayPublish, onQuestion }: SpyOptions): Promise<Spy> {
  const open = new Map<string, string>();
  const done = new Set<string>();
  const faults: string[] = [];
  let faultCount = 0;
  let answered = 0;
  let wake: (() => void) | undefined;
  const fault = (what: string): void => {
    faultCount += 1;
    if (faults.length < FAULTS_KEPT) faults.push(what.slice(0, 300));
  };
  const mqtt = await connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });

  const hear = (topic: string, payload: Buffer, packet: IPublishPacket): void => {
    if (packet.properties?.userProperties?.[MARK] !== undefined) return;
    const due = open.get(topic);
    if (due !== undefined) {
      open.delete(topic);
      done.add(topic);
      const text = payload.toString('utf8');
      if (text === due) answered += 1;
      else fault(`answered ${text} instead of ${due} on ${topic}`);
      if (open.size === 0) wake?.();
      return;
    }
    if (done.has(topic)) fault(`a second answer on ${topic}: ${payload.toString('utf8')}`);
    else if (!mayPublish(topic)) fault(`published on ${topic}: ${payload.toString('utf8')}`);
    if (packet.retain) fault(`retained on ${topic}`);
    const question = /everest_api\/query-modules\/[a-z_]+$/.test(topic);
    if (!question) return;
    const { headers } = JSON.parse(payload.toString('utf8')) as { headers: { replyTo: string } };
    onQuestion(topic, headers.replyTo);
  };
  mqtt.on('message', hear);
  mqtt.on('error', (error) => fault(`the spy: ${error.message}`));
  await mqtt.subscribeAsync('#', { qos: 0 });

  return {
    expect: (topic, text) => void open.set(topic, text),
    open,
    get answered() {
      return answered;
    },
    faults,
    get faultCount() {
      return faultCount;
    },
    async settled(deadlineMs) {
      if (open.size === 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = undefined;
    },
    forget() {
      open.clear();
      // A second answer comes soon or not at all.
      if (done.size > 100_000) done.clear();
    },
    close: () => mqtt.endAsync(true),
  };
}
