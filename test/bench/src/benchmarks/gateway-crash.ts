/**
 * The longest time without a check at a station when the only gateway of `npm run up` is killed: from the last check of
 * the old one to the first of the next. EVerest reports a fault after the period it tolerates, 5 s by its default.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import { startEverestClient } from '@khumbu/test-support/everest-client';
import { startDepot } from '../depot.js';
import type { Benchmark, Measured } from '../row.js';

const PERIOD_S = 5;
const PATIENCE_MS = 60_000;
const REPEATS = { full: 7, short: 1 } as const;
/** With the standby that is there by default, and without. */
const ROWS = { 'gateway-crash': 'true', 'gateway-crash-alone': 'false' } as const;
type RowName = keyof typeof ROWS;

export const gatewayCrash: Benchmark<RowName> = {
  rows: (Object.keys(ROWS) as RowName[]).map((name) => ({
    name,
    unit: 's',
    baselineName: 'the period of EVerest',
    wanted: name === 'gateway-crash' ? 'ours < 5' : 'reported',
    meets: ({ ours }) => name !== 'gateway-crash' || (ours !== null && ours < PERIOD_S),
  })),
  async measure(context) {
    const measureWith = async (name: RowName): Promise<Measured> => {
      const env = { STANDBY_GATEWAY: ROWS[name] };
      const depot = await startDepot(context, { dataDir: join(context.dir, name), env });
      const station = await startEverestClient({
        mqttUrl: depot.endpoints.mqttUrl,
        moduleId: 'station-0',
        heartbeatMs: 1000,
        discovery: { heartbeat_period_ms: 1000, communication_check_period_s: PERIOD_S, request_reply_timeout_s: 30 },
      });
      const checks = (): number[] =>
        station.messages.items.filter(({ leaf }) => leaf === 'communication_check').map(({ atMs }) => atMs);
      const gateways = (): string[] => [...depot.pids().keys()].filter((one) => one.startsWith('gateway'));
      const wanted = name === 'gateway-crash' ? 2 : 1;
      const ours: number[] = [];
      for (let round = 0; round < REPEATS[context.effort]; round += 1) {
        await awaitUntil(
          () => gateways().length === wanted && checks().length > 0,
          PATIENCE_MS,
          'gateways and a check',
        );
        // Another moment between two checks each time; the process that was started last has loaded by then.
        await pause(context.effort === 'short' ? 2000 : 6000 + round * 230);
        const killedAt = performance.now();
        for (const one of gateways().filter((gateway) => gateway === 'gateway-1')) {
          process.kill(depot.pidOf(one), 'SIGKILL');
        }
        const next = await awaitUntil(() => checks().find((at) => at > killedAt + 20), PATIENCE_MS, 'a check');
        const last =
          checks()
            .filter((at) => at < next)
            .at(-1) ?? killedAt;
        ours.push((next - last) / 1000);
        context.say(`${name}: silent for ${((next - last) / 1000).toFixed(2)} s`);
      }
      await station.close();
      await depot.stop();
      return { ours, baseline: [PERIOD_S], notes: [`longest: ${Math.max(...ours).toFixed(2)} s`] };
    };
    return {
      'gateway-crash': await measureWith('gateway-crash'),
      'gateway-crash-alone': await measureWith('gateway-crash-alone'),
    };
  },
};
