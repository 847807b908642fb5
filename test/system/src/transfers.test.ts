/** Transfers with servers as they are, in the running depot: through a forward proxy, put off, without bytes, at the end of time. */

import { readdirSync, readFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, update } from './everest.js';

const dir = t.testdir({});
const origin = await startOrigin();
t.teardown(() => origin.close());

/** The only way to the names of the world, with a password. */
const asked: string[] = [];
const PROXY_LOGIN = `Basic ${Buffer.from('depot:hush-hush').toString('base64')}`;
const proxy = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  if (request.headers['proxy-authorization'] !== PROXY_LOGIN) {
    return void response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end();
  }
  const { pathname } = new URL(request.url ?? '');
  const { 'proxy-authorization': _hop, ...headers } = request.headers;
  const place = { host: '127.0.0.1', port: origin.port, path: pathname, method: request.method, headers };
  const onward = httpRequest(place, (answer) => {
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
});
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  proxy.close();
  proxy.closeAllConnections();
});
const { port } = proxy.address() as AddressInfo;
const cluster = await startCluster(t, {
  dataDir: `${dir}/data`,
  env: { HTTP_PROXY: `http://depot:hush-hush@127.0.0.1:${port}`, NO_PROXY: '127.0.0.0/8,localhost' },
});

interface Operation {
  readonly status: string;
  readonly ended: boolean;
  readonly deadlineAt?: string;
  readonly waitingFor?: string;
  readonly waiting?: { readonly for: string; readonly since: string; readonly until?: string };
  readonly outcome?: { readonly ok: boolean; readonly reason?: string };
}
/** The newest operation of a station, once it is as wanted. */
const newest = (station: string, isWanted: (operation: Operation) => boolean): Promise<Operation> =>
  awaitUntil(
    async () => {
      const list = (await cluster.get(`/operations?station=${station}&limit=1`)) as { items: Operation[] };
      const [operation] = list.items;
      return operation && isWanted(operation) ? operation : undefined;
    },
    PATIENCE_MS,
    `the operation of ${station}`,
  );
const test = (name: string, body: (t: Test) => Promise<void>): void => {
  void t.test(name, { buffered: true }, body);
};

test('an image and an archive go through the proxy of the environment, and nothing tells its password', async (t) => {
  const image = makeImage(200_000);
  origin.serve('/depot.bin', image.bytes);
  origin.receive('/logs/');
  const client = await connect(t, cluster, 'behind');
  const location = 'http://firmware.invalid/depot.bin';
  t.equal(await update(client, 7, { location, retries: 1 }), 'Accepted');
  await allowAfter(client, 7, 'Downloaded');
  const logs = { request_id: 9, type: 'DiagnosticsLog', location: 'http://logs.invalid/logs/', retries: 1 };
  t.match((await askUntilDecided('upload_logs', () => client.request('upload_logs', logs))).reply, {
    upload_logs_status: 'Accepted',
  });
  await newest('behind', ({ status }) => status === 'Uploaded');
  t.match(asked, [`GET ${location}`, /^PUT http:\/\/logs\.invalid\/logs\/behind-DiagnosticsLog-/]);
  const folder = join(cluster.dataDir, 'log');
  const said = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  t.notMatch([cluster.said(), ...said].join('\n'), /hush-hush|ZGVwb3Q6/);
});

test('a server that wants to be asked in an hour is, and one of a thousand years in a quarter of an hour', async (t) => {
  const asked: readonly [string, string, number][] = [
    ['patient', '3600', 3600],
    ['mortal', '99999999999', 900],
  ];
  for (const [station, retryAfter, seconds] of asked) {
    const busy = await startOrigin();
    t.teardown(() => busy.close());
    const headers = { 'retry-after': retryAfter };
    const location = busy.serve('/later.bin', Buffer.alloc(0), { status: 503, headers });
    const client = await connect(t, cluster, station);
    t.equal(await update(client, 7, { location, retries: 2, retry_interval_s: 0 }), 'Accepted');
    const { waiting } = await newest(station, ({ waitingFor }) => waitingFor === 'retry_after');
    const lastsS = (Date.parse(waiting?.until ?? '') - Date.parse(waiting?.since ?? '')) / 1000;
    t.ok(Math.abs(lastsS - seconds) < 10, `${lastsS} s`);
    t.equal(busy.stats('/later.bin').gets, 1);
  }
});

test('what a server asks for is shown as what is waited for, with its end', async (t) => {
  // A server of its own: its other locations are left in peace as well.
  const busy = await startOrigin();
  t.teardown(() => busy.close());
  const location = busy.serve('/soon.bin', Buffer.alloc(0), { status: 429, headers: { 'retry-after': '600' } });
  const client = await connect(t, cluster, 'shown');
  t.equal(await update(client, 7, { location, retries: 3, retry_interval_s: 1 }), 'Accepted');
  const { waiting } = await newest('shown', ({ waitingFor }) => waitingFor === 'retry_after');
  const lastsS = (Date.parse(waiting?.until ?? '') - Date.parse(waiting?.since ?? '')) / 1000;
  t.ok(lastsS > 590 && lastsS < 610, `${lastsS} s`);
});

test('an image without bytes and a web page are not installed', async (t) => {
  const client = await connect(t, cluster, 'careful');
  const page = Buffer.from('<!DOCTYPE html><html><body>Log in</body></html>');
  const cases: [string, string][] = [
    [origin.serve('/empty.bin', Buffer.alloc(0)), 'empty'],
    [origin.serve('/page.bin', page, { headers: { 'content-type': 'text/html' } }), 'web_page'],
  ];
  for (const [at, [location, reason]] of cases.entries()) {
    t.equal(await update(client, at, { location, retries: 1 }), 'Accepted');
    await client.awaitStatus(at, 'DownloadFailed', PATIENCE_MS);
    t.match((await newest('careful', ({ ended }) => ended)).outcome, { ok: false, reason });
  }
});

test('an update for the end of time is shown with dates that everybody can read', async (t) => {
  const client = await connect(t, cluster, 'endless');
  const location = origin.serve('/never.bin', Buffer.from('x'));
  const retrieve_timestamp = '9999-12-31T23:59:59.9999999Z';
  t.equal(await update(client, 7, { location, retrieve_timestamp }), 'Accepted');
  const operation = await newest('endless', ({ status }) => status === 'DownloadScheduled');
  t.match(operation, { waitingFor: 'retrieve_timestamp', waiting: { until: '2100-01-01T00:00:00.000Z' } });
  t.match(operation.deadlineAt, /^2100-01-02T/);
});
