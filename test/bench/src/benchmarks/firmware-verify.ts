/** One large signed image: from the request to `SignatureVerified`, beside curl and openssl, for each kind of signature. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import type { SignatureScheme } from '@khumbu/test-support/firmware';
import { type Depot, startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import { cpuSecondsWithPrograms, forgetPeak, MB, peakRssBytes } from '../process-figures.js';
import type { BenchContext, Benchmark, Measured } from '../row.js';
import { startStation } from '../station-client.js';
import { median } from '../statistics.js';
import { type CommandTime, timedCommand } from '../timed-command.js';
import { warmMemory } from '../warm-memory.js';

const PATIENCE_MS = 120_000;
const SIZE = { full: 500_000_000, short: 20_000_000 } as const;
/** Beside a first one of ours for each kind, that is not counted. */
const ROUNDS = { full: 7, short: 1 } as const;
/** More points of the curve, ours alone. */
const CURVE = { full: [5_000_000, 50_000_000, 2_000_000_000], short: [] } as const;
const POINTS = 3;

const SCHEMES = {
  'rsa-pkcs1': 'firmware-verify',
  'rsa-pss': 'firmware-verify-pss',
  ecdsa: 'firmware-verify-ecdsa',
} as const satisfies Record<SignatureScheme, string>;
const schemes = Object.keys(SCHEMES) as SignatureScheme[];

const FETCH = 'curl --fail --silent --output "$OUT" "$URL"';
const DIGEST = 'openssl dgst -sha256 "$OUT"';
/** What a person would type who wants both at once. */
const OVERLAP = 'curl --fail --silent "$URL" | tee "$OUT" | openssl dgst -sha256';
const verifyCommand = (options: string): string =>
  `openssl dgst -sha256 ${options} -verify "$KEY" -signature "$SIG" "$OUT"`;

/** CPU seconds of every process of ours and of the servers it uses, and of the programs they have waited for. */
const depotCpu = (depot: Depot): number =>
  [...depot.pids().values()].reduce((sum, pid) => sum + cpuSecondsWithPrograms(pid), 0);

/** One image, from the request to `SignatureVerified`; nothing of it is left. */
export async function ours(
  context: BenchContext,
  depot: Depot,
  origin: Pick<FirmwareOrigin, 'sizeBytes' | 'location' | 'by'>,
  n: number,
  scheme: SignatureScheme = 'rsa-pkcs1',
): Promise<CommandTime> {
  const station = await startStation(context, depot, `verify_${origin.sizeBytes}_${n}`);
  warmMemory(context.dir, origin.sizeBytes);
  const before = depotCpu(depot);
  const startedAt = performance.now();
  const request = { request_id: n, location: origin.location(), ...origin.by(scheme).signed };
  await askUntilDecided('update_firmware', () => station.request('update_firmware', request));
  const { atMs } = await station.awaitStatus(n, 'SignatureVerified', PATIENCE_MS);
  const time = { seconds: (atMs - startedAt) / 1000, cpuSeconds: depotCpu(depot) - before };
  await station.close();
  rmSync(join(depot.spool, 'images'), { recursive: true });
  return time;
}

interface Theirs {
  readonly fetch: CommandTime;
  readonly digest: CommandTime;
  readonly overlap: CommandTime;
  readonly verify: Readonly<Record<SignatureScheme, CommandTime>>;
}

async function theirs({ dir }: BenchContext, origin: FirmwareOrigin): Promise<Theirs> {
  const OUT = join(dir, 'fetched.bin');
  warmMemory(dir, origin.sizeBytes);
  const fetch = await timedCommand(FETCH, { OUT, URL: origin.location() });
  const digest = await timedCommand(DIGEST, { OUT });
  const verified: [SignatureScheme, CommandTime][] = [];
  for (const scheme of schemes) {
    const { publicKeyFile: KEY, signatureFile: SIG, opensslOptions } = origin.by(scheme);
    verified.push([scheme, await timedCommand(verifyCommand(opensslOptions), { OUT, KEY, SIG })]);
  }
  rmSync(OUT);
  warmMemory(dir, origin.sizeBytes);
  const overlap = await timedCommand(OVERLAP, { OUT, URL: origin.location() });
  rmSync(OUT);
  return { fetch, digest, overlap, verify: Object.fromEntries(verified) as Theirs['verify'] };
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

type RowName = `${(typeof SCHEMES)[SignatureScheme]}${'' | '-floor' | '-cpu'}` | 'firmware-verify-overlap';

const ratioRow = (name: RowName, baselineName: string, most: number): Benchmark<RowName>['rows'][number] => ({
  name,
  unit: 's',
  baselineName,
  wanted: `ratio <= ${most}`,
  meets: ({ ratio }) => ratio !== null && ratio <= most,
});

/** The figures of one kind of signature. */
function measuredOf(scheme: SignatureScheme, mine: readonly CommandTime[], beside: readonly Theirs[]) {
  const wall = mine.map((time) => time.seconds);
  const rows: [RowName, Measured][] = [
    [
      SCHEMES[scheme],
      { ours: wall, baseline: beside.map(({ fetch, verify }) => fetch.seconds + verify[scheme].seconds) },
    ],
    [
      `${SCHEMES[scheme]}-floor`,
      { ours: wall, baseline: beside.map(({ fetch, digest }) => Math.max(fetch.seconds, digest.seconds)) },
    ],
    [
      `${SCHEMES[scheme]}-cpu`,
      {
        ours: mine.map((time) => time.cpuSeconds),
        baseline: beside.map(({ fetch, digest }) => fetch.cpuSeconds + digest.cpuSeconds),
      },
    ],
  ];
  return rows;
}

export const firmwareVerify: Benchmark<RowName> = {
  rows: [
    ...Object.values(SCHEMES).flatMap((name) => [
      ratioRow(name, 'curl, then openssl dgst -verify', 0.85),
      ratioRow(`${name}-floor`, 'the slower of curl and openssl dgst', 1.15),
      ratioRow(`${name}-cpu`, 'curl and openssl dgst', 1.2),
    ]),
    {
      name: 'firmware-verify-overlap',
      unit: 's',
      baselineName: 'curl | tee FILE | openssl dgst',
      wanted: 'reported',
      meets: () => true,
    },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const origin = await startFirmwareOrigin(context, dir, SIZE[effort], schemes);
    const depot = await startDepot(context, { dataDir: join(dir, 'depot') });
    const mine: Record<SignatureScheme, CommandTime[]> = { 'rsa-pkcs1': [], 'rsa-pss': [], ecdsa: [] };
    const beside: Theirs[] = [];
    let n = 0;
    for (let round = 0; round <= ROUNDS[effort]; round += 1) {
      // Each time in another order.
      const turn = (at: number): SignatureScheme => schemes[(at + round) % schemes.length] as SignatureScheme;
      for (const [at] of schemes.entries()) {
        n += 1;
        const time = await ours(context, depot, origin, n, turn(at));
        if (round > 0) mine[turn(at)].push(time);
        if (round > 0 && at === round % schemes.length) beside.push(await theirs(context, origin));
      }
    }
    const all = (pick: (one: Theirs) => number): string => median(beside.map(pick)).toFixed(3);
    const notes = [
      `${SIZE[effort] / 1e6} MB; ours is on disk (fsync) before Downloaded, what curl wrote is in the page cache`,
      'before each of them as many bytes were written and removed, so that none has to get its memory from the host first',
      'CPU: every process of the depot, beside the user and system time of curl and openssl dgst; the origin is in neither',
      `curl ${all(({ fetch }) => fetch.seconds)} s, openssl dgst ${all(({ digest }) => digest.seconds)} s`,
      ...(await curve(context, depot)),
    ];
    const overlap = {
      ours: mine['rsa-pkcs1'].map((time) => time.seconds),
      baseline: beside.map((one) => one.overlap.seconds),
    };
    const rows = schemes.flatMap((scheme) => measuredOf(scheme, mine[scheme], beside));
    const measured = { ...Object.fromEntries(rows), 'firmware-verify-overlap': overlap } as Partial<
      Record<RowName, Measured>
    >;
    const first = measured['firmware-verify'];
    return first ? { ...measured, 'firmware-verify': { ...first, notes } } : measured;
  },
};
