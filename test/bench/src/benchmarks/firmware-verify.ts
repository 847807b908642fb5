/** One large signed image: from the request to `SignatureVerified`, beside curl and openssl. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Depot, startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import { cpuSeconds, forgetPeak, MB, peakRssBytes } from '../process-figures.js';
import type { BenchContext, Benchmark } from '../row.js';
import { interleaved } from '../stage.js';
import { startStation } from '../station-client.js';
import { median } from '../statistics.js';
import { type CommandTime, timedCommand } from '../timed-command.js';

const PATIENCE_MS = 120_000;
const SIZE = { full: 500_000_000, short: 20_000_000 } as const;
/** Beside a first one of ours that is not counted. */
const PAIRS = { full: 9, short: 1 } as const;
/** More points of the curve, ours alone. */
const CURVE = { full: [5_000_000, 50_000_000, 2_000_000_000], short: [] } as const;
const POINTS = 3;

const BASELINE =
  'curl --fail --silent --output "$OUT" "$URL"; openssl dgst -sha256 -verify "$KEY" -signature "$SIG" "$OUT"';

/** CPU seconds of every process of ours and of the servers it uses. */
const depotCpu = (depot: Depot): number => [...depot.pids().values()].reduce((sum, pid) => sum + cpuSeconds(pid), 0);

async function ours(context: BenchContext, depot: Depot, origin: FirmwareOrigin, n: number): Promise<CommandTime> {
  const station = await startStation(context, depot, `verify_${origin.sizeBytes}_${n}`);
  const before = depotCpu(depot);
  const startedAt = performance.now();
  await station.request('update_firmware', { request_id: n, location: origin.location(), ...origin.signed });
  const { atMs } = await station.awaitStatus(n, 'SignatureVerified', PATIENCE_MS);
  const time = { seconds: (atMs - startedAt) / 1000, cpuSeconds: depotCpu(depot) - before };
  await station.close();
  rmSync(join(depot.spool, 'images'), { recursive: true });
  return time;
}

async function theirs({ dir }: BenchContext, origin: FirmwareOrigin): Promise<CommandTime> {
  const out = join(dir, 'fetched.bin');
  const files = { OUT: out, KEY: origin.publicKeyFile, SIG: origin.signatureFile };
  const time = await timedCommand(BASELINE, { ...files, URL: origin.location() });
  rmSync(out);
  return time;
}

/** How time and memory grow with the image. */
async function curve(context: BenchContext, depot: Depot): Promise<string[]> {
  const notes: string[] = [];
  const worker = depot.pidOf('ota-worker-1');
  for (const size of CURVE[context.effort]) {
    const origin = await startFirmwareOrigin(context, context.dir, size);
    const times: CommandTime[] = [];
    forgetPeak(worker);
    for (let n = 0; n < POINTS; n += 1) times.push(await ours(context, depot, origin, 1000 + n));
    const [wall, cpu] = [times.map((time) => time.seconds), times.map((time) => time.cpuSeconds)];
    const peak = (peakRssBytes(worker) / MB).toFixed(0);
    notes.push(
      `${size / MB} MB: ${median(wall).toFixed(2)} s, CPU ${median(cpu).toFixed(2)} s, ota-worker at most ${peak} MB`,
    );
  }
  return notes;
}

export const firmwareVerify: Benchmark<'firmware-verify' | 'firmware-verify-cpu'> = {
  rows: [
    {
      name: 'firmware-verify',
      unit: 's',
      baselineName: 'curl, then openssl dgst -verify',
      wanted: 'ratio <= 1.1',
      meets: ({ ratio }) => ratio !== null && ratio <= 1.1,
    },
    {
      name: 'firmware-verify-cpu',
      unit: 's',
      baselineName: 'curl, then openssl dgst -verify',
      wanted: 'ratio <= 1.5',
      meets: ({ ratio }) => ratio !== null && ratio <= 1.5,
    },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const origin = await startFirmwareOrigin(context, dir, SIZE[effort]);
    const depot = await startDepot(context, { dataDir: join(dir, 'depot') });
    await ours(context, depot, origin, 0);
    const pairs = await interleaved(
      PAIRS[effort],
      (n) => ours(context, depot, origin, n + 1),
      () => theirs(context, origin),
    );
    const of = (member: keyof CommandTime) => ({
      ours: pairs.ours.map((time) => time[member]),
      baseline: pairs.baseline.map((time) => time[member]),
    });
    const notes = [
      `${SIZE[effort] / 1e6} MB; ours is on disk (fsync) before Downloaded, what curl wrote is in the page cache`,
      'CPU: every process of the depot, beside the user and system time of curl and openssl; the origin is in neither',
      ...(await curve(context, depot)),
    ];
    return { 'firmware-verify': { ...of('seconds'), notes }, 'firmware-verify-cpu': of('cpuSeconds') };
  },
};
