/** How long EVerest's OCPP stack stands still for `update_firmware`, while a whole depot is asked to update. */
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import type { Remote } from '../load/remote.js';
import type { ConnectOptions, RateOptions } from '../load/requester.js';
import type { Benchmark } from '../row.js';
import { BARE, interleaved, setStage, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const BASELINE = 'bare MQTT request/reply, same broker';
const PER_S = 20;

export const admission: Benchmark<'admission-latency-p50' | 'admission-latency-p99'> = {
  rows: [
    { name: 'admission-latency-p50', unit: 'ms', baselineName: BASELINE, wanted: 'reported', meets: () => true },
    {
      name: 'admission-latency-p99',
      unit: 'ms',
      baselineName: BASELINE,
      wanted: '<= 25 ms',
      meets: ({ ours }) => ours !== null && ours <= 25,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const seconds = isShort ? 1 : 10;
    const origin = await startOrigin();
    context.teardown(() => origin.close());
    const location = origin.serve('/firmware.bin', makeImage(64 * 1024).bytes);
    const replies = { update_firmware: 'Accepted' };
    // What was accepted is worked on while more comes in.
    const options = { services: ['gateway-1', 'ota-worker-1'] } as const;
    const { depot, ours, bare } = await setStage(context, stationNames(20, 'warm'), replies, options);
    const load: RateOptions = {
      perS: PER_S,
      seconds,
      questions: [
        { leaf: 'update_firmware', payload: { request_id: 1, location }, expect: 'Accepted', mayBeLate: isShort },
      ],
    };
    /** Each round has stations of its own: to one that is updating the answer is another. */
    const round = async (remote: Remote, prefix: string, group: string): Promise<number[]> => {
      const stations = stationNames(PER_S * seconds, group);
      await remote.call('connect', { url: depot.mqttUrl, prefix, stations } satisfies ConnectOptions);
      await remote.call('beat');
      return remote.call<number[]>('atRate', load);
    };
    await ours.call('atRate', { ...load, seconds: 1 });
    await bare.call('atRate', { ...load, seconds: 1 });
    const measured = await interleaved(
      isShort ? 1 : 5,
      (index) => round(ours, '', `round-${index}`),
      (index) => round(bare, BARE, `round-${index}`),
    );
    const figures = (share: number) => ({
      ours: measured.ours.map((ms) => quantile(ms, share)),
      baseline: measured.baseline.map((ms) => quantile(ms, share)),
    });
    return { 'admission-latency-p50': figures(0.5), 'admission-latency-p99': figures(0.99) };
  },
};
