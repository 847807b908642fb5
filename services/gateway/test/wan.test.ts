import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { FROZEN_REDIS_MS, type Json, KEYS, openRest, type Rest, type RestOptions } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const HOUR = 3600_000;
const UPDATES = '/v1/stations/cs-1/firmware-updates';
const AT = Date.parse('2026-11-29T21:00:00+01:00');
const iso = (text: string): string => new Date(Date.parse(text)).toISOString();
const RULES = {
  timeZone: 'Europe/Berlin',
  windows: [{ begin: '22:00', end: '06:00' }],
  rateBytesPerS: 250_000,
  monthBudgetBytes: 1000,
  updateBudgetBytes: 500,
};

function open(t: Parameters<typeof openRest>[0], more: Partial<RestOptions> = {}) {
  const clock = { wall: AT, monotonic: AT - 365 * 24 * HOUR };
  return openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} }, now: () => ({ ...clock }), wan: RULES, ...more });
}
const statusesOf = async ({ store }: Rest): Promise<unknown[]> =>
  (await store.outboxEntries('cs-1')).map(
    ({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status,
  );

void t.test('the link says its limits and what went over it, and is paused and given another budget', async (t) => {
  const rest = await open(t);
  const wan = createWanStore(rest.redis, rest.store.keys, { ...RULES, startSpreadS: 0 }, () => ({
    wall: AT,
    monotonic: 0,
  }));
  await wan.count(300, 40);
  const first = await rest.call('GET', '/v1/wan', { key: KEYS.read });
  t.strictSame(first.body, {
    timeZone: 'Europe/Berlin',
    rateLimitBytesPerS: 250_000,
    updateBudgetBytes: 500,
    paused: false,
    window: { times: ['22:00-06:00'], open: false, until: iso('2026-11-29T22:00+01:00') },
    month: {
      name: '2026-11',
      endsAt: iso('2026-12-01T00:00+01:00'),
      downloadedBytes: 300,
      uploadedBytes: 40,
      claimedBytes: 0,
      budgetBytes: 1000,
    },
  });
  const paused = await rest.call('POST', '/v1/wan/pause', { key: KEYS.operate });
  t.match(paused.body, { paused: true, pausedSince: new Date(AT).toISOString(), pausedBy: 'operate' });
  t.match((await rest.call('POST', '/v1/wan/pause', { key: KEYS.other })).body, { pausedBy: 'operate' });
  t.equal((await rest.call('POST', '/v1/wan/resume')).body.paused, false);

  const put = (budgetBytes: unknown) => rest.call('PUT', '/v1/wan/budget', { body: { budgetBytes } });
  t.match((await put(5000)).body, { month: { budgetBytes: 5000, budgetBy: 'admin' } });
  const unlimited = (await put('unlimited')).body as Json;
  t.strictSame([unlimited.month.budgetBytes, unlimited.month.budgetBy], [undefined, 'admin']);
  t.match((await put(0)).body, { month: { budgetBytes: 0 } });
  for (const body of [
    {},
    { budgetBytes: -1 },
    { budgetBytes: 'much' },
    { budgetBytes: null },
    { budgetBytes: 1, x: 1 },
  ])
    t.match((await rest.call('PUT', '/v1/wan/budget', { body })).body.code, 'BODY_INVALID', JSON.stringify(body));
  const audits = rest.lines.filter(({ audit }) => audit === true).map(({ request }) => request);
  t.same(audits, ['pause_downloads', 'pause_downloads', 'resume_downloads', ...Array(3).fill('set_wan_budget')]);
});

void t.test('the download of an update is paused, goes on, and may come at once', async (t) => {
  const rest = await open(t);
  const asked = { location: 'https://files.example/f', request_id: 7 };
  const answer = await rest.intake.updateFirmware(asked, rest.everest('cs-1'));
  await rest.intake.confirm(answer);
  const one = `${UPDATES}/${answer.operationId}`;
  const record = async () => (await rest.store.load(answer.operationId ?? '')) as FirmwareUpdateRecord;

  const early = await rest.call('POST', `${one}/pause`, { key: KEYS.operate });
  t.match(early.body, {
    status: 'DownloadScheduled',
    pausedBy: 'operate',
    waitingFor: 'operator_pause',
    waiting: { for: 'operator_pause', liftedBy: ['operator'], since: new Date(AT).toISOString() },
  });
  t.match((await rest.call('POST', `${one}/pause`)).body, { pausedBy: 'operate' }, 'safe to repeat');
  const gone = (await rest.call('POST', `${one}/resume`)).body as Json;
  t.equal(gone.pausedBy, undefined);
  t.match(gone, { status: 'DownloadScheduled', waiting: { for: 'worker' } });

  const context = { now: { wall: AT, monotonic: AT }, dialect: 'ocpp2.x' as const, bootEpoch: 0 };
  const set = { fetch: { id: 'f', generation: 1 }, tries: 1 };
  const joined = applyUpdateEvent(await record(), 'fetchJoined', context, { set });
  await rest.store.commit(rest.store.transaction().put(joined.record).enqueueStatus('cs-1', joined.statuses));
  const paused = await rest.call('POST', `${one}/pause`);
  t.match(paused.body, { status: 'DownloadPaused', waitingFor: 'operator_pause', history: [{}, {}, {}, {}, {}] });
  t.equal((await record()).fetch, undefined, 'the fetch goes on for others, or ends');
  t.same(await statusesOf(rest), ['DownloadScheduled', 'Downloading', 'DownloadPaused']);
  const found = await rest.call('GET', '/v1/operations?status=DownloadPaused');
  t.equal(found.body.items[0]?.operationId, answer.operationId, 'found by what it shows');
  t.same((await rest.call('GET', '/v1/operations?status=Downloading')).body.items, []);

  const now = (await rest.call('POST', `${one}/download-now`)).body as Json;
  t.match(now, { status: 'DownloadPaused', downloadNowBy: 'admin', waiting: { for: 'worker' } });
  t.equal(now.pausedBy, undefined);

  for (const order of ['pause', 'resume', 'download-now']) {
    t.equal((await rest.call('POST', `${UPDATES}/nothing/${order}`)).body.code, 'OPERATION_UNKNOWN');
    const elsewhere = `/v1/stations/cs-2/firmware-updates/${answer.operationId}/${order}`;
    t.equal((await rest.call('POST', elsewhere)).body.code, 'OPERATION_UNKNOWN');
  }
  await rest.call('DELETE', one);
  for (const order of ['pause', 'resume', 'download-now'])
    t.strictSame((await rest.call('POST', `${one}/${order}`)).body.code, 'NO_DOWNLOAD', order);

  const offered = await rest.intake.updateFirmware(asked, rest.everest('cs-1'));
  t.equal((await rest.call('POST', `${UPDATES}/${offered.operationId}/pause`)).body.code, 'SLOT_BUSY');
});

void t.test('while Redis is away nothing is changed, and it is said', async (t) => {
  const rest = await open(t, { redisMs: FROZEN_REDIS_MS });
  redis.freeze();
  for (const [method, path] of [
    ['GET', '/v1/wan'],
    ['POST', '/v1/wan/pause'],
  ] as const)
    t.match(await rest.call(method, path), { status: 503, body: { code: 'NOT_STORED' } }, `${method} ${path}`);
  redis.thaw();
});
