/** Where an image comes from: the depot's own object store, or anybody's server. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { OtaWorkerSettings } from '@khumbu/ota-worker/config';
import { createDownload } from '@khumbu/ota-worker/images/download';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { startS3 } from '@khumbu/test-support/s3';
import t from 'tap';

const never = new AbortController().signal;
const { bytes, sha256 } = makeImage(3_000_000);
const HELD = 1_000_000;

void t.test(
  'what our own object store refuses may be our clock: another try may do, and goes on where it was',
  async (t) => {
    const dir = t.testdir({ s3: {}, spool: { fetching: {} } });
    const fetching = join(dir, 'spool', 'fetching');
    const s3 = await startS3({ dir: join(dir, 's3') });
    const config = loadConfig(OtaWorkerSettings, {
      S3_ENDPOINT: s3.endpoint,
      S3_ACCESS_KEY: s3.accessKey,
      S3_SECRET_KEY: s3.secretKey,
      SPOOL_DIR: join(dir, 'spool'),
    });
    const objects = createObjectStore(config);
    t.teardown(async () => {
      objects.close();
      await s3.stop();
    });
    const path = join(dir, 'image');
    writeFileSync(path, bytes);
    await objects.putFile({ bucket: s3.bucket, key: 'v2.bin', path, contentType: 'application/octet-stream' });
    const etag = `"${(await objects.stat(s3.bucket, 'v2.bin'))?.etag}"`;
    const rules = { allowedSchemes: ['s3', 'http'] as const, allowedHosts: [], allowLoopback: true };
    const makeRoom = async (): Promise<number> => 0;
    const download = createDownload({ config, rules, objects, makeRoom });
    const ask = (location: string) => download(location, 'key', undefined, never, () => undefined);

    // An earlier try got so far.
    const part = join(fetching, 'key.00000000-0000-4000-8000-000000000000');
    const sidecar = {
      validators: { etag },
      total: bytes.length,
      bootId: 'b',
      syncedBytes: HELD,
      closed: true,
      startedAt: 1,
    };
    mkdirSync(fetching, { recursive: true });
    writeFileSync(`${part}.json`, JSON.stringify(sidecar));
    writeFileSync(`${part}.part`, bytes.subarray(0, HELD));

    // So it answers when it reads another time in the signature than on its own clock: RequestTimeTooSkewed.
    s3.failWith(403);
    await t.rejects(ask(`s3://${s3.bucket}/v2.bin`), { code: 'FETCH_RETRYABLE', reason: 'http_403' });
    const kept = readdirSync(fetching).filter((name) => name.endsWith('.part'));
    t.same(
      kept.map((name) => statSync(join(fetching, name)).size),
      [HELD],
    );
    s3.failWith(undefined);
    t.match(await ask(`s3://${s3.bucket}/v2.bin`), { kind: 'fetched', sha256 });
    await t.rejects(ask(`s3://${s3.bucket}/other.bin`), { code: 'FETCH_PERMANENT', reason: 'http_404' });

    const origin = await startOrigin();
    t.teardown(() => origin.close());
    const refused = origin.serve('/v2.bin', bytes, { status: 403 });
    await t.rejects(ask(refused), { code: 'FETCH_PERMANENT', reason: 'http_403' }, 'who else refuses means us');
  },
);
