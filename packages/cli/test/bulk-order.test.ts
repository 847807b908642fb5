/** An order for many stations where its depot fails midway, is waited for, or is given again. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { BulkResult, Operation, Problem } from '@khumbu/client/generated/rest-api';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { againText } from '../src/commands/bulk-key.js';

const BIN = fileURLToPath(new URL('../../bin/khumbu.mjs', import.meta.url));
const END_MS = 20_000;

interface Asked {
  readonly key: string;
  readonly body: string;
}
type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const json =
  (body: object, status = 200): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const problem = (code: Problem['code'], status: number): Answer => json({ code, status, title: `${code}.` }, status);
/** The connection breaks before there is an answer. */
const broken: Answer = (_response, request) => request.socket.destroy();

/** A depot whose orders are answered one after the other, the last answer for all that follow. */
async function startDepot(t: Test, orders: readonly Answer[], routes: Readonly<Record<string, Answer>> = {}) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => {
      if (request.method === 'POST') {
        asked.push({ key: String(request.headers['idempotency-key']), body: Buffer.concat(pieces).toString() });
        return orders[Math.min(asked.length, orders.length) - 1]?.(response, request);
      }
      const [path = ''] = request.url?.split('?') ?? [];
      return (routes[path] ?? problem('NOT_FOUND', 404))(response, request);
    });
  });
  t.teardown(() => closeNow(server));
  const url = `http://127.0.0.1:${await listen(server, 0)}`;
  const env = { ...process.env, NODE_OPTIONS: undefined, KHUMBU_URL: url, KHUMBU_KEY: 'secret', KHUMBU_RETRY_S: '1' };
  const start = (...args: string[]) => startChild(process.execPath, [BIN, 'bulk', ...args], { env });
  return {
    asked,
    start,
    async run(...args: string[]) {
      const child = await start(...args);
      const { code } = await within(child.exited, END_MS, () => `the command to end: ${child.output()}`);
      return { code, stdout: child.stdout(), output: child.output() };
    },
  };
}

const accepted = (stationId: string) => ({ stationId, status: 202, operationId: `reset-${stationId}` });
const putOff = (stationId: string) => {
  const busy: Problem = {
    type: 'urn:khumbu:problem:READS_BUSY',
    code: 'READS_BUSY',
    title: 'Too busy.',
    status: 503,
    instance: '/v1/resets',
  };
  return { stationId, status: 503, problem: busy };
};
function resultOf(...results: BulkResult['results']): BulkResult {
  const { length } = results.filter(({ status }) => status === 202);
  return {
    orderId: 'bulk-1',
    dryRun: false,
    total: results.length,
    accepted: length,
    refused: results.length - length,
    results,
  };
}

await t.test('a reset that was open already is waited for, whatever order it is of', async (t) => {
  let isEnded = false;
  let stream: ServerResponse | undefined;
  const operation = () =>
    ({
      operationId: 'reset-a',
      stationId: 'a',
      kind: 'reset',
      ended: isEnded,
      status: isEnded ? 'Restarted' : 'Restarting',
      ...(isEnded ? { outcome: { ok: true } } : {}),
    }) as Operation;
  const depot = await startDepot(t, [json(resultOf(accepted('a')))], {
    '/v1/operations': json({ items: [] }),
    '/v1/operations/reset-a': (response, request) => {
      json(operation())(response, request);
      if (isEnded) return;
      isEnded = true;
      stream?.write(`data: ${JSON.stringify({ type: 'operation', at: '2026-11-29T00:00:00Z', ...operation() })}\n\n`);
    },
    '/v1/events': (response) => {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
      stream.write(': open\n\n');
    },
  });
  const { code, stdout, output } = await depot.run('reset', 'a', '--yes', '--wait', '--json');
  t.equal(code, 0, output);
  t.match(JSON.parse(stdout).operations, [{ operationId: 'reset-a', status: 'Restarted' }]);
});

await t.test('only what the depot does not know has ended unseen', async (t) => {
  const routes = (one: Answer) => ({
    '/v1/operations': json({ items: [] }),
    '/v1/operations/reset-a': one,
    '/v1/events': ((response) =>
      void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')) as Answer,
  });
  const orders = [json(resultOf(accepted('a')))];
  const gone = await startDepot(t, orders, routes(problem('OPERATION_UNKNOWN', 404)));
  t.equal((await gone.run('reset', 'a', '--yes', '--wait')).code, 1, 'nothing is known of its end');
  const away = await startDepot(t, orders, routes(problem('NOT_STORED', 503)));
  t.equal((await away.run('reset', 'a', '--yes', '--wait')).code, 5);
});

await t.test('what was accepted is told, though the rest cannot be asked any more', async (t) => {
  const some = resultOf(accepted('a'), putOff('b'));
  for (const [next, code] of [
    [broken, 'NO_ANSWER'],
    [problem('NOT_AUTHENTICATED', 401), 'NOT_AUTHENTICATED'],
  ] as const) {
    const depot = await startDepot(t, [json(some), next]);
    const ended = await depot.run('reset', 'a', 'b', '--yes', '--wait', '--json');
    t.equal(ended.code, 5, ended.output);
    t.strictSame(JSON.parse(ended.stdout), some);
    t.match(ended.output, 'bulk-1: 1 accepted, 0 refused, 1 undecided');
    t.match(ended.output, `--idempotency-key ${depot.asked[0]?.key} goes on`);
    const { error } = JSON.parse(/^\{"error".*$/m.exec(ended.output)?.[0] ?? '{}');
    t.match(error, { code, exitCode: 5 }, 'why');
    t.ok(depot.asked.length > 1, 'it was asked again');
  }
});

await t.test('who is interrupted knows what was accepted', async (t) => {
  const depot = await startDepot(t, [json(resultOf(accepted('a'), putOff('b'))), () => undefined]);
  const child = await depot.start('reset', 'a', 'b', '--yes');
  await awaitUntil(() => depot.asked.length > 1, END_MS, 'the order to be sent again');
  t.equal((await child.end('SIGINT')).code, 130);
  t.match(child.stdout(), /^a +reset-a +accepted$/m);
  t.match(child.output(), `--idempotency-key ${depot.asked[0]?.key}`);
});

await t.test('of an order without an answer its key is told', async (t) => {
  const depot = await startDepot(t, [broken]);
  const lost = await depot.run('logs', 'a', '--since', '2h');
  t.equal(lost.code, 5);
  const [first] = depot.asked;
  const { oldest_timestamp } = JSON.parse(first?.body ?? '').order;
  t.match(lost.output, `--idempotency-key ${first?.key}`);
  t.match(lost.output, `--since ${oldest_timestamp}`, 'the date that was sent');
  const refusing = await startDepot(t, [problem('BODY_INVALID', 400)]);
  const refused = await refusing.run('reset', 'a', '--yes');
  t.equal(refused.code, 3);
  t.notMatch(refused.output, '--idempotency-key', 'nothing goes on');
});

await t.test('a key stands for one request', async (t) => {
  const depot = await startDepot(t, [json(resultOf(accepted('a'), accepted('b')))]);
  const key = ['--idempotency-key', 'weekly'];
  const relative = await depot.run('logs', 'a', '--since', '2h', ...key);
  t.equal(relative.code, 2, 'it would be another date each time');
  t.match(relative.output, /date is given whole.*: --since \d{4}-/);
  const image = ['update', 'a', '--location', 'http://files.example/i.img', '--yes'];
  t.equal((await depot.run(...image, '--install-at', '3d', ...key)).code, 2);
  const asking = await depot.run('reset', 'a', ...key);
  t.equal(asking.code, 2);
  t.match(asking.output, 'with --idempotency-key nobody is asked');
  t.same(depot.asked, [], 'nothing was asked of the depot');
  t.equal((await depot.run('logs', 'b', 'a', '--since', '2026-11-29T00:00:00Z', ...key)).code, 0);
  t.equal((await depot.run('logs', 'a', 'b', 'a', '--since', '2026-11-29T00:00:00Z', ...key)).code, 0);
  t.strictSame(depot.asked[1], depot.asked[0], 'the same stations are the same request');
});

await t.test('how an order is given again', async (t) => {
  const date = { at: '2026-11-29T00:00:00.000Z', isRelative: true };
  t.equal(
    againText('k', {}, { isAsked: false }),
    'the same command with --idempotency-key k goes on with it, and does nothing twice',
  );
  const chosen = ['a', 'b 2'];
  const text = againText('k', { installAt: date, since: { ...date, isRelative: false } }, { isAsked: true, chosen });
  t.match(text, 'with --yes --idempotency-key k goes on');
  t.match(text, `its dates are then --install-at ${date.at};`);
  t.match(text, "its stations, beside the filter, are then a 'b 2'");
});
