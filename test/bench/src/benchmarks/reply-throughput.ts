/** How many questions a second are answered when many stations ask at once. */
import { cpuSeconds } from '../load/remote.js';
import type { LoadOptions } from '../load/requester.js';
import type { Benchmark } from '../row.js';
import { interleaved, setStage, stationNames } from '../stage.js';

export const replyThroughput: Benchmark<'reply-throughput'> = {
  rows: [
    {
      name: 'reply-throughput',
      unit: '1/s',
      baselineName: 'bare MQTT request/reply, same broker',
      wanted: 'ratio >= 0.35',
      meets: ({ ratio }) => ratio !== null && ratio >= 0.35,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const { depot, ours, bare } = await setStage(context, stationNames(50), { get_boot_reason: 'PowerUp' });
    const load: LoadOptions = {
      inFlight: isShort ? 50 : 300,
      seconds: isShort ? 5 : 8,
      question: { leaf: 'get_boot_reason', expect: 'PowerUp', mayBeLate: isShort },
    };
    const warmUp = { ...load, seconds: isShort ? 1 : 4 };
    await ours.call('inFlight', warmUp);
    await bare.call('inFlight', warmUp);
    const gateway = depot.process('gateway-1').pid as number;
    const shares: number[] = [];
    const measured = await interleaved(
      isShort ? 1 : 7,
      async () => {
        const before = await cpuSeconds(gateway);
        const began = performance.now();
        const perS = await ours.call<number>('inFlight', load);
        shares.push((await cpuSeconds(gateway)) - before, (performance.now() - began) / 1000);
        return perS;
      },
      () => bare.call<number>('inFlight', load),
    );
    const used = shares.filter((_, index) => index % 2 === 0).reduce((sum, share) => sum + share, 0);
    const took = shares.filter((_, index) => index % 2 === 1).reduce((sum, share) => sum + share, 0);
    const notes = [`the gateway used ${(used / took).toFixed(2)} of a core while it answered`];
    return { 'reply-throughput': { ...measured, notes } };
  },
};
