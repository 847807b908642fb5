/** Decisions of the command line, and the live view where a gateway has it and where not. */
import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BulkResult, Operation } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import t from 'tap';
import { checkFilter } from '../src/commands/filter-flag.js';
import { futureMoment, pastMoment } from '../src/commands/flags.js';
import { chooseDepot, type DepotFlags } from '../src/depot/choose-depot.js';
import type { Profiles } from '../src/depot/profiles.js';
import { toldOf } from '../src/failure.js';
import { exitOf, rowsOf } from '../src/operations/bulk-order.js';
import { bytesText, durationText, table } from '../src/output/shown.js';

const BIN = fileURLToPath(new URL('../../bin/khumbu.mjs', import.meta.url));
const NONE: DepotFlags = { keyStdin: false };
const SETTINGS = { KHUMBU_TIMEOUT_S: 30, KHUMBU_RETRY_S: 5, HTTP_PORT: 8080, DATA_DIR: './var' };
const PROFILES: Profiles = {
  default: 'north',
  profiles: { north: { url: 'https://north.example/', key: 'north-key' }, bare: { url: 'https://bare.example' } },
};

await t.test('which depot, and whose key', async (t) => {
  const choose = (flags: Partial<DepotFlags>, settings: object = {}, profiles: Profiles = { profiles: {} }) =>
    chooseDepot({ ...NONE, ...flags }, { ...SETTINGS, ...settings }, () => profiles);
  t.match(choose({}), { url: 'http://127.0.0.1:8080', key: { kind: 'run', path: 'var/api-key' } });
  t.match(choose({}, {}, PROFILES), { url: 'https://north.example', key: { kind: 'text', text: 'north-key' } });
  const env = { KHUMBU_KEY: 'env-key' };
  t.match(choose({}, env, PROFILES).key, { text: 'north-key' }, 'a profile has its own');
  t.match(choose({ profile: 'bare' }, env, PROFILES).key, { text: 'env-key' });
  t.match(
    choose({ url: 'https://other.example' }, {}, PROFILES).key,
    { kind: 'none' },
    'no key of a profile goes there',
  );
  t.match(choose({ url: 'https://other.example' }, env, PROFILES).key, { text: 'env-key' });
  t.match(choose({}, { ...env, KHUMBU_URL: 'https://set.example' }, PROFILES).url, 'https://set.example');
  t.match(choose({ profile: 'north', keyFile: '/k' }, env, PROFILES).key, { kind: 'file', path: '/k' });
  t.match(choose({ keyStdin: true }, env, PROFILES).key, { kind: 'stdin' });
  t.throws(() => choose({ profile: 'south' }, {}, PROFILES), { code: 'PROFILE_UNKNOWN' });
  t.throws(() => choose({}, { HTTP_PORT: 0 }), { code: 'URL_UNKNOWN' });
  t.throws(() => choose({ url: 'ftp://x' }), { code: 'URL_INVALID' });
  t.throws(() => choose({ url: 'https://u:p@x' }), { code: 'URL_INVALID' });
  t.throws(() => choose({ url: 'https://x', profile: 'north' }, {}, PROFILES), { code: 'USAGE' });
});

await t.test('how failures end', async (t) => {
  const problem = (status: number) => toldOf(new ProblemError(status, undefined))?.exit;
  t.equal(problem(401), 'denied');
  t.equal(problem(403), 'denied');
  t.equal(problem(404), 'refused');
  t.equal(problem(409), 'refused');
  t.equal(problem(429), 'unreachable');
  t.equal(problem(503), 'unreachable');
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  t.match(toldOf(new TypeError('fetch failed', { cause: refused })), { exit: 'unreachable', message: /doctor/ });
  const strange = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  t.match(toldOf(new TypeError('fetch failed', { cause: strange })), { message: /NODE_EXTRA_CA_CERTS/ });
  t.equal(toldOf(new TypeError('x is not a function')), undefined, 'a fault of ours');
});

await t.test('dates and sizes', async (t) => {
  t.equal(pastMoment('2026-11-22T09:30:00Z'), '2026-11-22T09:30:00.000Z');
  t.ok(Math.abs(Date.parse(pastMoment('2h')) - Date.now() + 7_200_000) < 60_000);
  t.ok(Math.abs(Date.parse(futureMoment('2h')) - Date.now() - 7_200_000) < 60_000);
  t.throws(() => pastMoment('yesterday'));
  t.throws(() => pastMoment('2026-11-22'));
  t.equal(bytesText(999), '999 B');
  t.equal(bytesText(3_000_000), '3.0 MB');
  t.equal(durationText(45), '45 s');
  t.equal(durationText(7200), '2 h');
  t.equal(table(['A', 'B'], [['one', '\u001b[31mred']]), 'A    B\none  \\x1b[31mred', 'no colours of others');
});

async function follow(url: string, args: readonly string[] = []) {
  const env = { ...process.env, NODE_OPTIONS: undefined, KHUMBU_URL: url, KHUMBU_KEY: 'key' };
  return startChild(process.execPath, [BIN, 'logs', 'gate 1', '--follow', ...args], { env });
}

await t.test('logs as they come, until the reader ends it', async (t) => {
  const asked: (string | undefined)[] = [];
  let isOver = false;
  const server = createServer((request, response) => {
    asked.push(request.url, request.headers.authorization, request.headers.accept);
    response.writeHead(200, { 'content-type': 'application/jsonl' });
    response.write('{"type": "record", "source": "journal", "text": "first"}\n');
    response.once('close', () => {
      isOver = true;
    });
  });
  t.teardown(() => closeNow(server));
  const child = await follow(`http://127.0.0.1:${await listen(server, 0)}`, [
    '--grep',
    'a b',
    '--source',
    'journal',
    '--type',
    'SecurityLog',
  ]);
  await awaitUntil(
    () => child.stdout() === 'first\n',
    20_000,
    () => `a line: ${child.output()}`,
  );
  t.equal((await child.end('SIGINT')).code, 130);
  await awaitUntil(() => isOver, 5000, 'the connection to be closed');
  const query = 'type=SecurityLog&grep=a+b&follow=true&source=journal';
  t.strictSame(asked, [`/v1/stations/gate%201/logs?${query}`, 'Bearer key', 'application/jsonl']);
});

await t.test('a view that ends badly, or breaks off, is no success', async (t) => {
  for (const [last, code] of [
    ['{"type": "end", "reason": "failed"}\n', 1],
    ['', 5],
  ] as const) {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/jsonl' });
      response.end(`{"type": "record", "source": "journal", "text": "first"}\n${last}`);
    });
    t.teardown(() => closeNow(server));
    const child = await follow(`http://127.0.0.1:${await listen(server, 0)}`);
    t.equal((await within(child.exited, 20_000, 'the command to end')).code, code, last);
    t.match(child.stdout(), 'first');
  }
});

await t.test('a folder that is not there is told before anything is asked', async (t) => {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.end();
  });
  t.teardown(() => closeNow(server));
  const url = `http://127.0.0.1:${await listen(server, 0)}`;
  const env = { ...process.env, NODE_OPTIONS: undefined, KHUMBU_URL: url, KHUMBU_KEY: 'key' };
  const child = await startChild(process.execPath, [BIN, 'logs', 'gate', '-o', '/no/such/archive'], { env });
  t.equal((await within(child.exited, 20_000, 'the command to end')).code, 2);
  t.match(child.output(), '/no/such cannot be written to');
  t.same(asked, []);
});

await t.test('a filter that cannot be read is shown where it is wrong', async (t) => {
  const shown = (filter: string): string => {
    try {
      checkFilter(filter, STATION_FIELDS);
      return '';
    } catch (error) {
      return toldOf(error)?.message ?? String(error);
    }
  };
  t.equal(shown('label.site = north and (version < 2.1 or not state = away)'), '');
  t.match(
    shown('label.site\t= north and\nhue = 1'),
    /character 24: .*\n {2}label\.site = north and hue = 1\n {25}\^\^\^$/,
  );
  t.match(shown('state = gone'), /where one of these should be: here, away.*\n.*\n {10}\^{4}$/);
  t.match(shown('state ='), /\n {2}state =\n {9}\^$/);
});

type BulkProblem = NonNullable<BulkResult['results'][number]['problem']>;
const resultOf = (statuses: Record<string, number>, dryRun = false): BulkResult => {
  const results = Object.entries(statuses).map(([stationId, status]) =>
    status === 202
      ? { stationId, status, ...(dryRun ? {} : { operationId: `op-${stationId}` }) }
      : { stationId, status, problem: { code: 'NOT_STORED', title: 'Not now.', status } as BulkProblem },
  );
  const accepted = results.filter(({ status }) => status === 202).length;
  return { orderId: 'bulk-1', dryRun, total: results.length, accepted, refused: results.length - accepted, results };
};

await t.test('how an order for many ends', async (t) => {
  const ended = (stationId: string, ok: boolean) =>
    ({ operationId: `op-${stationId}`, stationId, status: ok ? 'Uploaded' : 'Failed', outcome: { ok } }) as Operation;
  t.equal(exitOf(resultOf({ a: 202, b: 202 }), undefined), 'done');
  t.equal(exitOf(resultOf({ a: 202, b: 409 }), undefined), 'refused');
  t.equal(exitOf(resultOf({}), undefined), 'refused', 'nobody fits');
  t.equal(exitOf(resultOf({ a: 202, b: 409, c: 503 }), undefined), 'unreachable');
  t.equal(exitOf(resultOf({ a: 202 }), [ended('a', true)]), 'done');
  t.equal(exitOf(resultOf({ a: 202, b: 202 }), [ended('a', true), ended('b', false)]), 'failed');
  t.equal(exitOf(resultOf({ a: 202, b: 202 }), [ended('a', true)]), 'failed', 'nothing is known of its end');
  t.strictSame(rowsOf(resultOf({ a: 202, b: 503 }), [ended('a', false)]), [
    ['a', 'op-a', 'Failed'],
    ['b', '', 'NOT_STORED: Not now.'],
  ]);
  t.strictSame(rowsOf(resultOf({ a: 202 }, true), undefined), [['a', '', 'would be accepted']]);
});

await t.test('an order for many is sent again under its name until all is decided', async (t) => {
  const asked: { readonly key: unknown; readonly body: string }[] = [];
  const answers = [resultOf({ a: 202, b: 503 }), resultOf({ a: 202, b: 202 })];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => {
      asked.push({ key: request.headers['idempotency-key'], body: Buffer.concat(pieces).toString() });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers[asked.length - 1]));
    });
  });
  t.teardown(() => closeNow(server));
  const url = `http://127.0.0.1:${await listen(server, 0)}`;
  const env = { ...process.env, NODE_OPTIONS: undefined, KHUMBU_URL: url, KHUMBU_KEY: 'key', KHUMBU_RETRY_S: '60' };
  const child = await startChild(process.execPath, [BIN, 'bulk', 'reset', 'a', 'b', '--yes', '--json'], { env });
  t.equal((await within(child.exited, 60_000, 'the command to end')).code, 0, child.output());
  t.match(JSON.parse(child.stdout()), { accepted: 2, refused: 0 });
  t.equal(asked.length, 2);
  t.strictSame(asked[1], asked[0], 'the same order, by the same key');
  t.ok(asked[0]?.key);
  t.strictSame(JSON.parse(asked[0]?.body ?? ''), { target: { stations: ['a', 'b'] }, order: { type: 'Soft' } });
});

await t.test('doctor: the key of a profile goes to no other depot', async (t) => {
  const heard: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  t.teardown(() => closeNow(server));
  const home = t.testdir({
    khumbu: {
      'profiles.json': JSON.stringify({
        default: 'north',
        profiles: { north: { url: 'https://north.example', key: 'key-of-north' } },
      }),
    },
  });
  chmodSync(join(home, 'khumbu', 'profiles.json'), 0o600);
  const port = await listen(server, 0);
  const env = { ...process.env, NODE_OPTIONS: undefined, XDG_CONFIG_HOME: home, HTTP_PORT: String(port) };
  const child = await startChild(process.execPath, [BIN, 'doctor', '--up'], { env });
  await within(child.exited, 60_000, 'the command to end');
  t.ok(heard.length > 0, 'it was looked at');
  t.strictSame(
    heard.filter((key) => key !== undefined),
    [],
  );
});

await t.test('a gateway without a live view', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(404, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code: 'NOT_FOUND', title: 'There is nothing at this address.', status: 404 }));
  });
  t.teardown(() => closeNow(server));
  const child = await follow(`http://127.0.0.1:${await listen(server, 0)}`);
  t.equal((await within(child.exited, 20_000, 'the command to end')).code, 6);
  t.match(child.output(), 'no live view');
});
