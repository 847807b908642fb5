/** How long a station waits for an answer that changes little: half may-I-reset, half why-did-I-boot. */
import type { Question, RateOptions } from '../load/requester.js';
import type { Benchmark, Row } from '../row.js';
import { interleaved, setStage, stationNames } from '../stage.js';
import { median, quantile } from '../statistics.js';

const BASELINE = 'bare MQTT request/reply, same broker';
const questions = (mayBeLate: boolean): readonly Question[] => [
  { leaf: 'is_reset_allowed', payload: 'Soft', expect: true, mayBeLate },
  { leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate },
];
const STATIONS = 50;
const PER_S = 100;

const within =
  (bound: number) =>
  ({ ratio }: Row): boolean =>
    ratio !== null && ratio <= bound;

export const replyLatency: Benchmark<'reply-latency-p50' | 'reply-latency-p99'> = {
  rows: [
    { name: 'reply-latency-p50', unit: 'ms', baselineName: BASELINE, wanted: 'ratio <= 2.0', meets: within(2) },
    { name: 'reply-latency-p99', unit: 'ms', baselineName: BASELINE, wanted: 'ratio <= 4.0', meets: within(4) },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const replies = { is_reset_allowed: true, get_boot_reason: 'PowerUp' };
    const { depot, ours, bare } = await setStage(context, stationNames(STATIONS), replies);
    const load: RateOptions = { perS: PER_S, seconds: isShort ? 1 : 10, questions: questions(isShort) };
    const warmUp = { ...load, seconds: isShort ? 1 : 5 };
    await ours.call('atRate', warmUp);
    await bare.call('atRate', warmUp);
    const measured = await interleaved(
      isShort ? 1 : 7,
      () => ours.call<number[]>('atRate', load),
      () => bare.call<number[]>('atRate', load),
    );
    const figures = (share: number) => ({
      ours: measured.ours.map((ms) => quantile(ms, share)),
      baseline: measured.baseline.map((ms) => quantile(ms, share)),
    });
    // What the promise costs that no answer is given which is not on disk.
    await depot.redis.config('SET', 'appendfsync', 'everysec');
    const unsynced: number[] = [];
    for (let n = 0; n < (isShort ? 1 : 3); n++) unsynced.push(quantile(await ours.call<number[]>('atRate', load), 0.5));
    const notes = [`p50 with appendfsync everysec in place of always: ${median(unsynced).toFixed(2)} ms`];
    return { 'reply-latency-p50': { ...figures(0.5), notes }, 'reply-latency-p99': figures(0.99) };
  },
};
