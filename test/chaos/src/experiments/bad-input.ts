/** A million frames that should not be sent, on every topic and on topics that are none. */
import { join } from 'node:path';
import { startEverestClient } from '@khumbu/test-support/everest-client';
import { type Depot, type ProcessName, startDepot } from '../depot/depot.js';
import type { Experiment, ExperimentContext } from '../experiment.js';
import { judge } from '../experiment.js';
import { type AttackPlan, attack } from '../hostile/attack.js';
import { differences, fingerprint, keyCounts } from '../hostile/fingerprint.js';
import { SETTLED, settleStations } from '../hostile/settled-stations.js';
import { startSpy } from '../hostile/spy.js';

const FRAMES = { short: 20_000, long: 1_000_000 } as const;
const GATEWAYS: readonly ProcessName[] = ['gateway-1', 'gateway-2'];
const EVERYBODY: readonly ProcessName[] = [
  'redis',
  'mosquitto',
  ...GATEWAYS,
  'ota-worker-1',
  'log-worker-1',
  'system-control-1',
];
const PROBE = 'probe';
/** A busy machine and a wave of frames before it; without harm it is a few milliseconds. */
const PROBE_MS = 2000;
/** What cannot be decided in time is answered by default: counted, and allowed to a busy machine now and then. */
const DEFAULTS_ALLOWED = 3;
const LOG_BYTES_PER_10_000_FRAMES = 100_000;
/** Of growth that is no leak: what V8 has not given back, and what is cached. */
const RSS_SLACK = { factor: 1.25, bytes: 32_000_000 } as const;
/** Redis keys beyond those of the depot itself: listed unconfigured stations with their answers, nothing for the rest. */
const UNCONFIGURED_KEYS = 40_000;

interface Addressing {
  readonly name: string;
  readonly prefix: string;
  readonly share: number;
}
const ADDRESSINGS: readonly Addressing[] = [
  { name: 'on a trusted wire', prefix: '', share: 0.6 },
  { name: 'behind prefixes', prefix: 'depot/{station}/', share: 0.4 },
];

async function rssOf(depot: Depot): Promise<number> {
  const sizes = await Promise.all(GATEWAYS.map((name) => depot.process(name).rssBytes()));
  return Math.max(...sizes);
}

const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

async function tryAddressing(context: ExperimentContext, addressing: Addressing, frames: number): Promise<void> {
  const depot = await startDepot(context, {
    dir: join(context.dir, addressing.share.toString()),
    env: { MQTT_TOPIC_PREFIX: addressing.prefix },
    // Other brokers let retained messages through.
    mosquittoConfig: ['retain_available true'],
    unknownStations: 'refuse',
    stations: Object.fromEntries([...SETTLED, PROBE].map((name) => [name, {}])),
  });
  await depot.leader();
  const prefixOf = (station: string): string => addressing.prefix.replace('{station}', () => station);
  await settleStations(context, depot, prefixOf);
  const probe = await startEverestClient({ mqttUrl: depot.mqttUrl, moduleId: PROBE, prefix: prefixOf(PROBE) });
  context.teardown(() => probe.close(true));
  const probeMs: number[] = [];
  let byDefault = 0;
  const ask = async (): Promise<string | undefined> => {
    const { reply, ms } = await probe.request('get_boot_reason', undefined, { timeoutMs: 15_000 });
    probeMs.push(ms);
    if (reply === 'Unknown') {
      byDefault += 1;
      return context.effort === 'long' && byDefault > DEFAULTS_ALLOWED
        ? `${byDefault} good requests were answered by default`
        : undefined;
    }
    return reply === 'PowerUp' ? undefined : `a good request was answered ${JSON.stringify(reply)}`;
  };
  await ask();
  context.say(`${addressing.name}: stations are settled`);

  const lies: { topic: string; bytes: Buffer }[] = [];
  const spy = await startSpy({
    mqttUrl: depot.mqttUrl,
    // Checks to stations with heartbeats, no statuses to new stations, questions, and the leader's messages to itself.
    mayPublish: (topic) =>
      topic.endsWith('/m2e/communication_check') ||
      topic.startsWith('khumbu/fence/') ||
      /everest_api\/query-modules\/(system|ocpp_consumer)$/.test(topic) ||
      /everest_api\/1\/ocpp_consumer\/[^/]+\/m2e\/[a-z_]+\/get$/.test(topic) ||
      topic.includes(`/${PROBE}/`),
    onQuestion: (question, replyTo) => {
      const prefix = question.slice(0, question.indexOf('everest_api/'));
      // A module behind the prefix of a station is that station.
      if (addressing.prefix !== '' && [...SETTLED, PROBE].some((name) => prefix === prefixOf(name))) return;
      lies.push({ topic: `${prefix}${replyTo}`, bytes: Buffer.alloc(0) });
    },
  });
  context.teardown(() => spy.close());

  const before = await fingerprint(depot.redis, SETTLED);
  const logBefore = GATEWAYS.reduce((sum, name) => sum + depot.process(name).logBytes(), 0);
  const rss: number[] = [];
  const troubles: string[] = [];
  const plan: AttackPlan = {
    mqttUrl: depot.mqttUrl,
    prefixOf,
    perStation: addressing.prefix !== '',
    settled: SETTLED,
    frames,
    random: context.random.fork(addressing.name),
    spy,
    lies,
    afterWave: async () => {
      const trouble = await ask().catch((error: unknown) => String(error));
      if (trouble !== undefined) troubles.push(trouble);
      rss.push(await rssOf(depot));
    },
    say: (line) => context.say(line),
  };
  const began = performance.now();
  const result = await attack(plan);
  const seconds = (performance.now() - began) / 1000;

  const slowest = Math.max(...probeMs);
  // The short form runs beside other tests: times there say nothing.
  if (context.effort === 'long' && slowest > PROBE_MS) troubles.push(`a good request waited ${slowest.toFixed(0)} ms`);
  const what = (text: string): string => `${result.sent} frames ${addressing.name}: ${text}`;
  judge(context, what(`${spy.answered} answers due, each came once and was the default`), [
    ...(result.refused > 0 ? [`the broker threw hostile clients out, ${result.refused} frames with them`] : []),
    ...result.unanswered,
    ...spy.faults.slice(0, 8),
    ...(spy.faultCount > 8 ? [`and ${spy.faultCount - 8} more`] : []),
  ]);
  if (byDefault >= probeMs.length) troubles.push('every good request was answered by default');
  judge(context, what(`${probeMs.length} good requests in between were answered`), troubles.slice(0, 5));
  const deaths = EVERYBODY.filter((name) => depot.process(name).deaths > 0);
  judge(
    context,
    what('nobody crashed'),
    deaths.map((name) => `${name} died: ${depot.process(name).output().slice(-800)}`),
  );
  const after = await fingerprint(depot.redis, SETTLED);
  judge(context, what('nothing stored has changed'), differences(before, after));

  const early = rss.slice(Math.floor(rss.length * 0.2), Math.floor(rss.length * 0.3) + 1);
  const late = rss.slice(Math.floor(rss.length * 0.9));
  const [from, to] = [Math.max(...early), Math.max(...late)];
  const grown = to > from * RSS_SLACK.factor + RSS_SLACK.bytes;
  // A gateway that has just started grows until it is warm, and V8 lets garbage lie: that takes more than a few waves.
  if (context.effort === 'long')
    judge(context, what('memory stays'), grown ? [`a gateway grew from ${MB(from)} to ${MB(to)}`] : []);

  const counts = await keyCounts(depot.redis);
  const keys = Object.values(counts).reduce((sum, count) => sum + count, 0);
  judge(context, what('keys in Redis are bounded'), keys > UNCONFIGURED_KEYS ? [JSON.stringify(counts)] : []);
  const logged = GATEWAYS.reduce((sum, name) => sum + depot.process(name).logBytes(), 0) - logBefore;
  const perFrames = (logged / result.sent) * 10_000;
  // Lines are limited in time; few frames bring the same lines.
  const allowed = LOG_BYTES_PER_10_000_FRAMES + (seconds * 5_000 * 10_000) / result.sent;
  judge(
    context,
    what('the log stays readable'),
    perFrames > allowed ? [`${perFrames.toFixed(0)} bytes of log for 10,000 frames; a line: ${lastLines(depot)}`] : [],
  );
  context.figure(
    `${addressing.name}: frames`,
    `${result.sent} in ${seconds.toFixed(0)} s, ${result.refused} refused by the broker`,
  );
  context.figure(`${addressing.name}: distinct unconfigured stations`, String(result.unconfigured));
  context.figure(`${addressing.name}: answers`, String(spy.answered));
  context.figure(`${addressing.name}: slowest good request`, `${slowest.toFixed(0)} ms`);
  context.figure(`${addressing.name}: good requests answered by default`, String(byDefault));
  context.figure(`${addressing.name}: memory`, `${MB(from)} to ${MB(to)}`);
  context.figure(`${addressing.name}: keys in Redis`, String(keys));
  context.figure(`${addressing.name}: log`, `${logged} bytes, ${perFrames.toFixed(0)} for 10,000 frames`);
  await spy.close();
  await depot.stop();
}

const lastLines = (depot: Depot): string =>
  GATEWAYS.map((name) => depot.process(name).output().slice(-500)).join(' | ');

export const badInput: Experiment = {
  name: 'bad-input',
  promise:
    'Whatever arrives on whatever topic, no process crashes, nothing stored changes, nothing is published outside the asking station’s own topics, memory and log stay bounded, and good requests are answered.',
  async run(context) {
    const frames = context.cases ?? FRAMES[context.effort];
    for (const addressing of ADDRESSINGS) {
      await tryAddressing(context, addressing, Math.round(frames * addressing.share));
    }
  },
};
