/** What the gateway counts. */
import { createMetrics } from '@khumbu/shared/runtime/health';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface GatewayMetrics {
  readonly registry: Registry;
  readonly messages: Counter<'channel'>;
  readonly badMessages: Counter;
  readonly answers: Histogram<'request' | 'by'>;
  readonly statusesTold: Counter;
  readonly leader: Gauge;
  readonly abandoned: Gauge<'queue'>;
}

export function createGatewayMetrics(): GatewayMetrics {
  const registry = createMetrics();
  const registers = [registry];
  return {
    registry,
    messages: new Counter({
      name: 'khumbu_messages_total',
      help: 'Messages from stations.',
      labelNames: ['channel'],
      registers,
    }),
    badMessages: new Counter({
      name: 'khumbu_bad_messages_total',
      help: 'Messages that were not acted on.',
      registers,
    }),
    answers: new Histogram({
      name: 'khumbu_answer_seconds',
      help: 'Time from a request to its answer.',
      labelNames: ['request', 'by'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    }),
    statusesTold: new Counter({
      name: 'khumbu_statuses_told_total',
      help: 'Statuses the broker has taken.',
      registers,
    }),
    abandoned: new Gauge({
      name: 'khumbu_queue_abandoned',
      help: '1 while nobody works on the queue, and what needs it is refused.',
      labelNames: ['queue'],
      registers,
    }),
    leader: new Gauge({ name: 'khumbu_leader', help: '1 while this gateway speaks with EVerest.', registers }),
  };
}
