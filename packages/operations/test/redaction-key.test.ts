import { redactionKey } from '@khumbu/operations/files/redaction-key';
import { keysFor } from '@khumbu/operations/records/keys';
import t from 'tap';
import { newPrefix, redis } from './store-stage.js';

void t.test('one key a depot, made by whoever asks first', async (t) => {
  const keys = keysFor(newPrefix());
  const made = await Promise.all([redactionKey(redis, keys), redactionKey(redis, keys)]);
  t.equal(made[0], made[1]);
  t.ok(made[0].length >= 43);
  t.equal(await redactionKey(redis, keys), made[0]);
  t.not(await redactionKey(redis, keysFor(newPrefix())), made[0]);
});
