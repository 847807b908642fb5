/** With FIRMWARE_STORE=s3 a worker is lost together with its disk: another one goes on with what the object store has. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import t from 'tap';
import { startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, runningImage, update } from './everest.js';

const MB = 1_000_000;
const PATH = '/large.bin';
/** What is compared, and what the descriptions of pieces take in the store. */
const OVERLAP = 64 * 1024;
const DESCRIPTIONS = 4096;

void t.test('a download outlives the disk of its worker, and leaves nothing in the store', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const cluster = await startCluster(t, { dataDir: join(t.testdir({}), 'data'), env: { FIRMWARE_STORE: 's3' } });
  const { s3Endpoint, s3Region, s3AccessKey, s3SecretKey, s3Bucket } = cluster.endpoints;
  const account = { S3_REGION: s3Region, S3_ACCESS_KEY: s3AccessKey, S3_SECRET_KEY: s3SecretKey, S3_BUCKET: s3Bucket };
  const objects = createObjectStore({ ...account, S3_ENDPOINT: s3Endpoint });
  t.teardown(() => objects.close());
  const keptBytes = async (): Promise<number> =>
    (await objects.list(s3Bucket, 'firmware/fetching/')).reduce((sum, { bytes }) => sum + bytes, 0);

  const image = makeImage(8 * MB);
  const client = await connect(t, cluster, 'far');
  const location = origin.serve(PATH, image.bytes, [{ bytesPerSecond: MB / 2 }, {}]);
  t.equal(await update(client, 7, { location, retries: 1 }), 'Accepted');
  await awaitUntil(async () => (await keptBytes()) > 3 * MB, PATIENCE_MS, 'some of it in the store');
  process.kill(cluster.pidOf('ota-worker-1'), 'SIGKILL');
  await awaitUntil(() => origin.requests.items.every(({ ended }) => ended), PATIENCE_MS, 'the line to be cut');
  const unkept = origin.stats(PATH).bodyBytes - (await keptBytes()) + DESCRIPTIONS;
  rmSync(join(cluster.dataDir, 'spool'), { recursive: true, force: true });
  await allowAfter(client, 7, 'Downloaded');
  const { bodyBytes } = origin.stats(PATH);
  t.ok(bodyBytes > image.bytes.length, 'it was lost midway');
  t.ok(bodyBytes <= image.bytes.length + unkept + OVERLAP, `${bodyBytes} bytes were sent, ${unkept} were not kept`);
  t.equal(runningImage(await cluster.charger('far')), image.sha256);
  await awaitUntil(async () => (await keptBytes()) === 0, PATIENCE_MS, 'the pieces to be removed');
  t.equal((await objects.list(s3Bucket, 'firmware/sha256/')).length, 1);
});
