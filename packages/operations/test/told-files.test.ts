import { hostname } from 'node:os';
import { readToldFiles, tellFiles } from '@khumbu/operations/files/told-files';
import { keysFor } from '@khumbu/operations/records/keys';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createFileHealth } from '@khumbu/shared/runtime/file-health';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { awaitUntil } from '@khumbu/test-support/events';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';

const PATIENCE_MS = 20_000;
const { redis } = await openRedis(t, t.testdir());
const onError = (error: unknown): void => {
  throw error;
};

void t.test('what one process finds is seen by all, and what is over is not', async (t) => {
  const keys = keysFor('told');
  const log = createLogger('test', 'silent');
  const healths = ['gateway', 'ota-worker'].map((service) => {
    const files = createFileHealth(log);
    files.usable('STATIONS_FILE');
    const telling = tellFiles(redis, keys, service, files, onError);
    t.teardown(() => telling.stop());
    return files;
  });
  const settings = async (): Promise<string[]> =>
    (await readToldFiles(redis, keys)).map(({ service, setting, usable }) => `${service} ${setting} ${usable}`);
  await awaitUntil(async () => (await settings()).length === 2, PATIENCE_MS, 'both');
  t.same(await settings(), ['gateway STATIONS_FILE true', 'ota-worker STATIONS_FILE true']);

  healths[1]?.unusable('LOCATION_CA_FILE', new CodedError('X', 'LOCATION_CA_FILE: it is empty'));
  await awaitUntil(async () => (await settings()).length === 3, PATIENCE_MS, 'the broken one');
  const [broken] = await readToldFiles(redis, keys);
  t.match(broken, {
    setting: 'LOCATION_CA_FILE',
    service: 'ota-worker',
    instance: `${hostname()}:${process.pid}`,
    usable: false,
    reason: 'LOCATION_CA_FILE: it is empty',
    loadedAt: undefined,
  });
  t.ok(Math.abs(Number(broken?.unusableSince) - Date.now()) < 60_000);
  t.ok((await redis.pttl(keys.files)) > 0, 'nothing stays when all are gone');

  const gone = {
    service: 'log-worker',
    instance: 'x:1',
    until: Date.now() - 1000,
    states: [{ setting: 'Y', usable: true }],
  };
  await redis.hset(keys.files, 'log-worker x:1', JSON.stringify(gone));
  t.same((await settings()).length, 3, 'a process that is gone');
  healths[0]?.usable('STATIONS_FILE');
  await awaitUntil(async () => !(await redis.hexists(keys.files, 'log-worker x:1')), PATIENCE_MS, 'its removal');
});
