/** Webhooks over REST; called by `rest.test.ts`, which counts the routes that were answered with success. */
import { newKey } from '@khumbu/operations/webhooks/signature';
import { createWebhookStore, MOST_WAITING, MOST_WEBHOOKS } from '@khumbu/operations/webhooks/webhook-store';
import type { Test } from 'tap';
import { type Json, KEYS, type Rest } from './rest-harness.js';

const HOOKS = '/v1/webhooks';
const URL_WITH_SECRETS = 'https://user:pass-word@csms.example/hooks/khumbu?token=secret-token';

export async function judgeWebhooks(t: Test, rest: Rest): Promise<void> {
  const body = { url: URL_WITH_SECRETS, title: 'CSMS', filter: 'event = operation and ended = true' };
  t.equal((await rest.call('POST', HOOKS, { body, key: KEYS.operate })).body.code, 'SCOPE_MISSING');
  const made = await rest.call('POST', HOOKS, { body });
  t.match(made, {
    status: 201,
    body: { title: 'CSMS', filter: body.filter, url: 'https://csms.example/…' },
  });
  t.match(made.body, {
    paused: false,
    gone: false,
    waiting: 0,
    deadLetters: 0,
    droppedDeadLetters: 0,
    createdBy: 'admin',
  });
  t.match(made.body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const { id } = made.body;
  const path = `${HOOKS}/${id}`;

  const rotated = await rest.call('POST', `${path}/keys`, { body: { overlapS: 60 } });
  t.equal(rotated.status, 201);
  t.not(rotated.body.secret, made.body.secret);
  t.strictSame(
    rotated.body.keys.map(({ expiresAt }: Json) => expiresAt !== undefined),
    [false, true],
    'two are valid at once',
  );
  const again = await rest.call('POST', `${path}/keys`, { body: {} });
  t.equal(again.body.keys.length, 2, 'and never three');
  t.equal(again.body.keys[1].id, rotated.body.keys[0].id);

  const webhooks = createWebhookStore(rest.redis, rest.store.keys);
  const asShown = await rest.call('PUT', path, { body: { url: made.body.url, title: 'CSMS' } });
  t.match(asShown, { status: 200, body: { url: made.body.url } });
  t.equal((await webhooks.read(id))?.url, URL_WITH_SECRETS, 'the URL as it is shown leaves it as it is');
  const ofAnother = { url: 'https://other.example/…' };
  const malformed = { status: 422, body: { code: 'LOCATION_MALFORMED', errors: [{ pointer: '#/url' }] } };
  t.match(await rest.call('PUT', path, { body: ofAnother }), malformed);
  t.match(await rest.call('POST', HOOKS, { body: ofAnother }), malformed);

  const changed = await rest.call('PUT', path, { body: { url: 'https://other.example/', paused: true } });
  t.match(changed.body, { id, paused: true, url: 'https://other.example/', keys: again.body.keys });
  t.notOk('filter' in changed.body);
  t.notOk('secret' in changed.body);
  t.strictSame((await rest.call('GET', path, { key: KEYS.operate })).body, changed.body);
  t.equal((await rest.call('GET', path, { key: KEYS.read })).body.code, 'SCOPE_MISSING');
  t.match((await rest.call('GET', HOOKS)).body.items, [{ id }]);

  const { webhookWaiting } = rest.store.keys;
  await rest.redis.hset(webhookWaiting, id, MOST_WAITING);
  t.match(await rest.call('POST', `${path}/ping`), { status: 409, body: { code: 'WEBHOOK_FULL' } });
  t.equal(await webhooks.head(id, ''), undefined);
  await rest.redis.hdel(webhookWaiting, id);
  t.equal((await rest.call('POST', `${path}/ping`)).status, 202);
  const ping = await webhooks.head(id, '');
  if (!ping) throw new Error('no ping waits');
  t.match(JSON.parse(ping.body), { type: 'ping', data: { type: 'ping' } });
  const dead = { ...ping, at: Date.now(), reason: 'http_500', message: 'the server answered 500', tries: 20 };
  await webhooks.settle(id, ping, dead);
  const letters = `${path}/dead-letters`;
  t.match((await rest.call('GET', letters)).body.items, [{ id: ping.id, type: 'ping', tries: 20, reason: 'http_500' }]);
  t.match((await rest.call('GET', path)).body, { waiting: 0, deadLetters: 1 });
  t.strictSame((await rest.call('POST', `${letters}/${ping.id}/resend`)).body, { resent: 1 });
  t.equal((await rest.call('POST', `${letters}/${ping.id}/resend`)).body.code, 'DEAD_LETTER_UNKNOWN');
  await webhooks.settle(id, ping, dead);
  t.strictSame((await rest.call('POST', `${letters}/resend`)).body, { resent: 1 });
  t.match((await rest.call('GET', path)).body, { waiting: 1, deadLetters: 0 });

  const wrong: [body: object, status: number, code: string, error: object][] = [
    [{ url: 'ftp://x/' }, 422, 'BODY_INVALID', { pointer: '#/url', rule: 'pattern' }],
    [{ url: 'https://' }, 422, 'LOCATION_MALFORMED', { pointer: '#/url' }],
    [{ url: 'http://169.254.169.254/latest' }, 409, 'LOCATION_ADDRESS_FORBIDDEN', { pointer: '#/url' }],
    [
      { url: 'https://a.example/', filter: 'colour = red' },
      422,
      'BODY_INVALID',
      { pointer: '#/filter', allowed: ['event'] },
    ],
    [{ url: 'https://a.example/', filters: 'x' }, 422, 'BODY_INVALID', { pointer: '#/filters' }],
  ];
  for (const [order, status, code, error] of wrong) {
    const refused = await rest.call('POST', HOOKS, { body: order });
    t.match(refused, { status, body: { code, errors: [error] } }, JSON.stringify(order));
    t.equal((await rest.call('PUT', path, { body: order })).body.code, code);
  }
  for (let n = 1; n < MOST_WEBHOOKS; n += 1) {
    const more = { id: `wh_more${n}`, url: 'https://a.example/', keys: [newKey(0)], createdAt: Date.now() };
    await webhooks.create(more);
  }
  t.equal((await rest.call('POST', HOOKS, { body })).body.code, 'TOO_MANY_WEBHOOKS');

  t.equal((await rest.call('DELETE', path)).status, 204);
  for (const [method, below] of [
    ['GET', ''],
    ['DELETE', ''],
    ['GET', '/dead-letters'],
    ['POST', '/ping'],
    ['POST', '/dead-letters/resend'],
    ['POST', '/dead-letters/x/resend'],
  ] as const)
    t.equal((await rest.call(method, `${path}${below}`)).body.code, 'WEBHOOK_UNKNOWN', `${method} ${below}`);
  const said = JSON.stringify(rest.lines);
  for (const secret of ['pass-word', 'secret-token', 'hooks/khumbu', made.body.secret, again.body.secret])
    t.notMatch(said, secret);
  t.match(said, 'rotate_webhook_key');
}
