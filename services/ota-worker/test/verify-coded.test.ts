/** Which bytes a signature is over where a coding was taken off: the verification step, a real Redis, real signatures. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { createStore } from '@khumbu/operations/kinds/store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { createVerify } from '@khumbu/steps/firmware-update/verify';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { depsOf, offeredUpdate, profileOf } from './update-stage.js';

const now = () => momentOf(Date.now());

void t.test('a signature may be over the decoded file or over what came; that one is installed', async (t) => {
  const dir = t.testdir({ redis: {}, keys: {}, spool: { images: {} } });
  const { redis } = await openRedis(t, join(dir, 'redis'));
  const signer = await makeSigner(join(dir, 'keys'), 'rsa-pss');
  const { bytes } = makeImage(10_000);
  const coded = gzipSync(bytes);
  const stored = (content: Buffer) => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(dir, 'spool', 'images', sha256), content);
    return { sha256, sizeBytes: content.length };
  };
  const [plain, asCame] = [stored(bytes), stored(coded)];
  const profile = profileOf({});
  const store = createStore(redis, 'verify');
  const driver = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  const deps = depsOf({ store, profile, spoolDir: join(dir, 'spool'), driver });
  const verify = createVerify(deps, false);
  const judged = async (signed: Buffer, id: string): Promise<FirmwareUpdateRecord> => {
    const record = offeredUpdate(now(), {
      id,
      state: 'Downloaded',
      request: { location: 'http://h/f', request_id: 7, ...signer.signed(signed) },
      image: { ...plain, asCame },
    });
    await store.commit(store.transaction().put(record));
    const named = await store.namedImages();
    t.ok(named.has(plain.sha256) && named.has(asCame.sha256), 'neither is swept while it may be the one');
    const current = (await store.load(id)) as FirmwareUpdateRecord;
    const commit = async (transaction: ReturnType<typeof store.transaction>) => void (await store.commit(transaction));
    const context = {
      signal: AbortSignal.timeout(180_000),
      commit,
      log: createLogger('test', 'silent'),
      isOurs: async () => true,
    };
    await verify(current, context as unknown as Parameters<typeof verify>[1]);
    return (await store.load(id)) as FirmwareUpdateRecord;
  };
  t.match(await judged(bytes, 'firmware-update-a'), {
    state: 'SignatureVerified',
    image: { ...plain, asCame: undefined },
  });
  t.match(await judged(coded, 'firmware-update-b'), {
    state: 'SignatureVerified',
    image: { ...asCame, asCame: undefined },
  });
  t.match(await judged(Buffer.from('other'), 'firmware-update-c'), { state: 'InvalidSignature' });
});
