/** A gigabyte of logs into the object store, beside tar, gzip and curl with the same bytes. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { Client } from 'minio';
import { type Depot, startDepot } from '../depot.js';
import { forgetPeak, MB, peakRssBytes, rssBytes } from '../process-figures.js';
import type { BenchContext, Benchmark } from '../row.js';
import { startStation } from '../station-client.js';
import { timedCommand } from '../timed-command.js';

const PATIENCE_MS = 180_000;
const LOG_BYTES = { full: 1_000_000_000, short: 20_000_000 } as const;
/** Beside the first one of ours, from which the baseline gets its files. */
const PAIRS = { full: 3, short: 1 } as const;
/** More points of the curve, ours alone. */
const CURVE = { full: [10_000_000, 100_000_000], short: [] } as const;
const RECORD_BYTES = 160;
const INTERVAL_MS = 10;
const GZIP_LEVEL = 6;
const URL_S = 3600;
const STATION = 'logs';
/** Where a station's archives lie in the depot's bucket. */
const FOLDER = `logs/${STATION}`;

const BASELINE =
  'tar -c -C "$FILES" . | gzip -"$LEVEL" | curl --fail --silent --show-error --request PUT --header "Content-Type: application/gzip" --upload-file - "$URL"';

interface Uploaded {
  readonly seconds: number;
  /** MB that the log-worker had at most, beyond what it had before its first upload. */
  readonly rssGrowth: number;
  readonly fileName: string;
}

interface LogDepot {
  readonly depot: Depot;
  /** Of the log-worker that has done nothing yet. */
  readonly idleRssBytes: number;
}

async function startLogDepot(context: BenchContext, name: string, bytes: number): Promise<LogDepot> {
  const historyS = (bytes / RECORD_BYTES) * (INTERVAL_MS / 1000);
  const depot = await startDepot(context, {
    dataDir: join(context.dir, name),
    env: { LOG_GZIP_LEVEL: String(GZIP_LEVEL) },
    simulated: { log_record_bytes: RECORD_BYTES, log_interval_ms: INTERVAL_MS, log_history_s: historyS },
  });
  return { depot, idleRssBytes: rssBytes(depot.pidOf('log-worker-1')) };
}

async function ours(context: BenchContext, { depot, idleRssBytes }: LogDepot, n: number): Promise<Uploaded> {
  const station = await startStation(context, depot, STATION);
  const worker = depot.pidOf('log-worker-1');
  forgetPeak(worker);
  const startedAt = performance.now();
  const request = { request_id: n, type: 'DiagnosticsLog', location: `s3://${depot.endpoints.s3Bucket}/${FOLDER}/` };
  const { reply } = await askUntilDecided('upload_logs', () => station.request('upload_logs', request));
  const { atMs } = await station.awaitStatus(n, 'Uploaded', PATIENCE_MS);
  const rssGrowth = (peakRssBytes(worker) - idleRssBytes) / MB;
  await station.close();
  const fileName = (reply as { file_name: string }).file_name;
  return { seconds: (atMs - startedAt) / 1000, rssGrowth, fileName };
}

/** How time and memory grow with the logs. */
async function curve(context: BenchContext): Promise<string[]> {
  const notes: string[] = [];
  for (const bytes of CURVE[context.effort]) {
    const logDepot = await startLogDepot(context, `depot-${bytes}`, bytes);
    const { seconds, rssGrowth } = await ours(context, logDepot, 1);
    notes.push(`${bytes / MB} MB of logs: ${seconds.toFixed(2)} s, log-worker ${rssGrowth.toFixed(0)} MB more at most`);
    await logDepot.depot.stop();
  }
  return notes;
}

export const logUpload: Benchmark<'log-upload' | 'log-upload-rss'> = {
  rows: [
    {
      name: 'log-upload',
      unit: 's',
      baselineName: 'tar | gzip -6 | curl PUT',
      wanted: 'ratio <= 0.6',
      meets: ({ ratio }) => ratio !== null && ratio <= 0.6,
    },
    {
      name: 'log-upload-rss',
      unit: 'MB',
      baselineName: '-',
      wanted: 'ours < 80',
      meets: ({ ours: growth }) => growth !== null && growth < 80,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const logDepot = await startLogDepot(context, 'depot', LOG_BYTES[effort]);
    const { depot } = logDepot;
    const { s3Endpoint, s3Region, s3AccessKey, s3SecretKey, s3Bucket: bucket } = depot.endpoints;
    const keys = { S3_ACCESS_KEY: s3AccessKey, S3_SECRET_KEY: s3SecretKey };
    const objects = createObjectStore({ S3_ENDPOINT: s3Endpoint, S3_REGION: s3Region, S3_BUCKET: bucket, ...keys });
    const { hostname: endPoint, port } = new URL(s3Endpoint);
    const account = { region: s3Region, accessKey: s3AccessKey, secretKey: s3SecretKey };
    const client = new Client({ endPoint, port: Number(port), useSSL: false, ...account });

    const files = join(dir, 'files');
    mkdirSync(files);
    const first = await ours(context, logDepot, 1);
    const FIRST = await objects.presignGet({ bucket, key: `${FOLDER}/${first.fileName}` }, URL_S);
    await timedCommand('curl --fail --silent "$FIRST" | tar -xz -C "$FILES"', { FIRST, FILES: files });
    const sizeOfLogs = readdirSync(join(files, 'journal')).reduce(
      (sum, name) => sum + statSync(join(files, 'journal', name)).size,
      0,
    );
    if (sizeOfLogs < LOG_BYTES[effort]) throw new Error(`the logs have ${sizeOfLogs} bytes only`);

    const mine: Uploaded[] = [];
    const other: number[] = [];
    let sizes = '';
    for (let pair = 1; pair <= PAIRS[effort]; pair += 1) {
      const uploaded = await ours(context, logDepot, pair + 1);
      mine.push(uploaded);
      const URL = await client.presignedPutObject(bucket, `${FOLDER}/baseline-${pair}.tar.gz`, URL_S);
      other.push((await timedCommand(BASELINE, { URL, FILES: files, LEVEL: String(GZIP_LEVEL) })).seconds);
      const keyOf = async (key: string): Promise<number> => (await objects.stat(bucket, key))?.bytes ?? 0;
      const [size, theirs] = [
        await keyOf(`${FOLDER}/${uploaded.fileName}`),
        await keyOf(`${FOLDER}/baseline-${pair}.tar.gz`),
      ];
      if (size === 0 || theirs === 0) throw new Error('an archive did not arrive');
      sizes = `archives: ours ${(size / MB).toFixed(1)} MB, theirs ${(theirs / MB).toFixed(1)} MB`;
      await Promise.all([
        objects.remove(bucket, `${FOLDER}/${uploaded.fileName}`),
        objects.remove(bucket, `${FOLDER}/baseline-${pair}.tar.gz`),
      ]);
    }
    await rm(files, { recursive: true });
    const notes = [
      `${(sizeOfLogs / MB).toFixed(0)} MB of logs, gzip level ${GZIP_LEVEL} on both sides; ${sizes}`,
      ...(await curve(context)),
    ];
    return {
      'log-upload': { ours: mine.map((one) => one.seconds), baseline: other, notes },
      'log-upload-rss': { ours: [first, ...mine].map((one) => one.rssGrowth) },
    };
  },
};
