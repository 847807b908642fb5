/**
 * How late this machine is by itself: a message goes round through the broker and back, again and again, with nothing of
 * ours in between. A bound in milliseconds means little on a machine that lets everybody wait.
 */
import { randomUUID } from 'node:crypto';
import { connectAsync } from 'mqtt';
import type { Cleanup } from './cleanup.js';

const EVERY_MS = 20;

interface Round {
  readonly sentAt: number;
  ms: number | undefined;
}

export interface LatencyProbe {
  /** The longest round that was under way in this time, in milliseconds; times of `performance.now`. */
  worst(from: number, to: number): number;
}

export async function startLatencyProbe(cleanup: Cleanup, mqttUrl: string): Promise<LatencyProbe> {
  const topic = `latencyProbe/${randomUUID()}`;
  const rounds: Round[] = [];
  const client = await connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', () => undefined);
  client.on('message', (_topic, payload) => {
    const round = rounds[Number(payload.toString())];
    if (round) round.ms = performance.now() - round.sentAt;
  });
  await client.subscribeAsync(topic);
  const timer = setInterval(() => {
    client.publish(topic, String(rounds.length));
    rounds.push({ sentAt: performance.now(), ms: undefined });
  }, EVERY_MS);
  cleanup.teardown(async () => {
    clearInterval(timer);
    await client.endAsync(true);
  });
  return {
    worst(from, to) {
      const now = performance.now();
      let worst = 0;
      let before = from;
      for (const { sentAt, ms = now - sentAt } of rounds) {
        if (sentAt > to) break;
        // A gap between two rounds is time in which none could be sent.
        if (sentAt >= from) worst = Math.max(worst, sentAt - before - EVERY_MS);
        if (sentAt + ms >= from) worst = Math.max(worst, ms);
        before = Math.max(from, sentAt);
      }
      return worst;
    },
  };
}
