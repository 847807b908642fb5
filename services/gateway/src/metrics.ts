/** What the gateway counts. */
import type { CrlWatch } from '@khumbu/firmware-trust/crl-watch';
import type { E2mChannelName } from '@khumbu/shared/contract/channels';
import { createMetrics } from '@khumbu/shared/runtime/health';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

export function createGatewayMetrics() {
  const registry = createMetrics();
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const messages = new Map<E2mChannelName, number>();
  new Counter({
    name: 'khumbu_messages_total',
    help: 'Messages from stations.',
    labelNames: ['channel'],
    registers,
    collect() {
      for (const [channel, count] of messages) if (count > 0) this.inc({ channel }, count);
      messages.clear();
    },
  });
  return {
    registry,
    /** A message from a station. Counted here and added up when metrics are read: there are many. */
    heard: (channel: E2mChannelName): void => void messages.set(channel, (messages.get(channel) ?? 0) + 1),
    badMessages: counter('khumbu_bad_messages_total', 'Messages that were not acted on.'),
    unread: counter(
      'khumbu_messages_unread_total',
      'Messages that came again and were answered without being read, because a leader ended with them.',
    ),
    tooMany: new Counter({
      name: 'khumbu_messages_over_limit_total',
      help: 'Messages beyond what one station may send, or all unconfigured stations together: answered by default, or dropped.',
      labelNames: ['how'],
      registers,
    }),
    unconfigured: gauge('khumbu_unknown_stations', 'Stations that are listed and missing from the stations file.'),
    duplicates: gauge(
      'khumbu_stations_in_conflict',
      'Identities that two stations use, as the leader hears it: nothing is done with either.',
    ),
    answers: new Histogram({
      name: 'khumbu_answer_seconds',
      help: 'Time from a request to its answer.',
      labelNames: ['request', 'by'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    }),
    statusesTold: counter('khumbu_statuses_told_total', 'Statuses the broker has taken.'),
    certificates: new Counter({
      name: 'khumbu_certificates_judged_total',
      help: 'Signing certificates of requests, by verdict; undecided: not judged in time.',
      labelNames: ['outcome'],
      registers,
    }),
    abandoned: new Gauge({
      name: 'khumbu_queue_abandoned',
      help: '1 while no worker takes jobs from the queue, and what needs it is refused.',
      labelNames: ['queue'],
      registers,
    }),
    leader: gauge('khumbu_leader', '1 while this gateway speaks with EVerest.'),
  };
}

/** `khumbu_crls`: how many say what is revoked, and how many cannot be used. */
export function countCrls(crls: Pick<CrlWatch, 'count'>, registry: Registry): void {
  new Gauge({
    name: 'khumbu_crls',
    help: 'CRLs in use, by state; unusable: expired, of the future, or such as say nothing about what they do not name.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(crls.count())) this.set({ state }, count);
    },
  });
}
