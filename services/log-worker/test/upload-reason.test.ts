/** What a station's program says when it fails is told without secrets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redactionKey } from '@khumbu/operations/files/redaction-key';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import { startOrigin } from '@khumbu/test-support/origin';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { beginUpload, type UploadStage } from './faults/run-upload.js';

const dir = await mkdtemp(join(tmpdir(), 'khumbu-upload-reason-'));
t.teardown(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
const { redis } = await openRedis(t, join(dir, 'redis'));
const origin = await startOrigin();
t.teardown(() => origin.close());

await t.test('what a program has said is no secret of the record', async (t) => {
  const said = 'the command for logs ended with 3: cannot log in: password=hunter2 {"idTag":"04A2B3C4D5E680"}';
  const logs: UploadStage['logs'] = async () => Promise.reject(new CodedError('LOGS_UNAVAILABLE', said));
  const upload = await beginUpload({ redis, dir, rules: REDACTION_RULES, logs }, { location: origin.receive('/') }, 1);
  const record = await upload.oneTry();
  t.match(record.outcome, { reason: 'logs_unavailable', message: /cannot log in: password=\[secret:/ });
  t.notMatch(JSON.stringify(record), /hunter2|04A2B3C4/);
});

await t.test('without a key that can be used an upload ends, and says what is to be done', async (t) => {
  const said = 'cannot log in: password=hunter2';
  const logs: UploadStage['logs'] = async () => Promise.reject(new CodedError('LOGS_UNAVAILABLE', said));
  const name = { redactionKey: 'a short one' };
  await redis.set(name.redactionKey, 'short');
  const key = () => redactionKey(redis, name);
  const upload = await beginUpload(
    { redis, dir, rules: REDACTION_RULES, logs, key },
    { location: origin.receive('/') },
    1,
  );
  const record = await upload.oneTry();
  t.match(record.outcome, { reason: 'redaction_key_short', message: /delete a short one in Redis/ });
  t.notMatch(JSON.stringify(record), /hunter2/);
});
