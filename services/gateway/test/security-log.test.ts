import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createChainWriter } from '@khumbu/operations/security-log/chain-writer';
import { securityLogCommand } from '@khumbu/operations/security-log/command';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { type Json, KEYS, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const never = new AbortController().signal;

void t.test(
  'what was asked over REST is in the security log, with who asked; and it is verified there and from an export',
  async (t) => {
    const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} } });
    const { keys } = rest.store;
    await rest.redis.set(keys.lease, 'me');
    const writer = createChainWriter({ redis: rest.redis, keys, holder: 'me', now: () => momentOf(Date.now()) });

    const sent = await rest.call('POST', '/v1/stations/cs-1/firmware-updates', {
      key: KEYS.operate,
      body: { location: 'https://user:secret@files.example/a.bin?token=secret' },
    });
    t.equal(sent.status, 202);
    const { operationId } = sent.body as Json;
    await rest.call('DELETE', `/v1/stations/cs-1/firmware-updates/${String(operationId)}`, { key: KEYS.other });
    await rest.call('POST', '/v1/wan/pause', { key: KEYS.operate });
    const refused = await rest.call('POST', '/v1/stations/cs-2/log-uploads', {
      key: KEYS.operate,
      body: { type: 'DiagnosticsLog', location: 'gopher://nowhere/' },
    });
    t.equal(refused.status, 422);
    await writer.round(never);

    const page = await rest.call('GET', '/v1/security-log', { key: KEYS.admin });
    const items = page.body.items as Json[];
    t.equal(page.status, 200);
    t.strictSame(
      items.toReversed().map(({ what, phase, stationId, by }) => [what, phase, stationId, (by as Json).name]),
      [
        ['firmware_update', 'asked', 'cs-1', 'operate'],
        ['firmware_update', 'ended', 'cs-1', 'operate'],
        ['cancel firmware_update', 'done', 'cs-1', 'other'],
        ['pause_downloads', 'done', undefined, 'operate'],
        ['upload_logs', 'refused', 'cs-2', 'operate'],
      ],
    );
    t.notMatch(JSON.stringify(page.body), /secret/);
    t.equal((await rest.call('GET', '/v1/security-log', { key: KEYS.operate })).status, 403, 'for administrators');

    const first = await rest.call('GET', '/v1/security-log?station=cs-1&limit=2', { key: KEYS.admin });
    t.equal((first.body.items as Json[]).length, 2);
    const next = `/v1/security-log?station=cs-1&limit=2&cursor=${String(first.body.nextCursor)}`;
    const second = await rest.call('GET', next, { key: KEYS.admin });
    t.match(second.body, { items: [{ sequence: 1 }], nextCursor: undefined });

    const verify = async (query = ''): Promise<Json> =>
      (await rest.call('GET', `/v1/security-log/verification${query}`, { key: KEYS.admin })).body;
    const head = page.body.head as { sequence: number; hash: string };
    t.match(await verify(), { ok: true, entries: 5, first: 1, last: head });
    t.match(await verify(`?anchor=9:${head.hash}`), { ok: false, fault: { kind: 'cut', sequence: 6 } });
    t.match(await verify(`?anchor=2:${head.hash}`), { ok: false, fault: { kind: 'anchor', sequence: 2 } });

    const command = async (...args: string[]): Promise<{ code: number; text: string }> => {
      const lines: string[] = [];
      const depot = async () => ({ redis: rest.redis, keys });
      const code = await securityLogCommand(args, { depot, write: (line) => void lines.push(line) });
      return { code, text: `${lines.join('\n')}\n` };
    };
    const exported = await command('export');
    const file = join(t.testdir(), 'security.ndjson');
    writeFileSync(file, exported.text);
    t.match(await command('verify', file, '--anchor', `${head.sequence}:${head.hash}`), {
      code: 0,
      text: /^5 entries/,
    });
    const lines = exported.text.trimEnd().split('\n');
    writeFileSync(file, `${lines.toSpliced(-2, 1).join('\n')}\n`);
    t.match(await command('verify', file), { code: 1, text: /^cut: entry 5/ });

    // Somebody who writes to Redis itself.
    const [entry] = await rest.redis.xrange(keys.securityChain, '2-0', '2-0');
    await rest.redis.xdel(keys.securityChain, '2-0');
    t.ok(entry);
    t.match(await verify(), { ok: false, fault: { kind: 'gap', sequence: 3 } });
    t.match(await command('verify'), { code: 1, text: /^gap: entry 3/ });
  },
);
