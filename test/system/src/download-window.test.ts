/** A download that has to wait, in the running depot: for its time of day, for an operator, through kills and another window. */
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import t from 'tap';
import { type Cluster, startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, update } from './everest.js';

const dir = t.testdir({});
const origin = await startOrigin();
t.teardown(() => origin.close());

interface Operation {
  readonly operationId: string;
  readonly status: string;
  readonly history: readonly { readonly status: string }[];
  readonly waiting?: { readonly for: string; readonly until?: string; readonly liftedBy: readonly string[] };
}

/** The update of a station, once it is as wanted. */
const seen = (cluster: Cluster, station: string, isWanted: (operation: Operation) => boolean): Promise<Operation> =>
  awaitUntil(
    async () => {
      const { items } = (await cluster.get(`/operations?station=${station}&limit=1`)) as { items: Operation[] };
      const [operation] = items;
      return operation && isWanted(operation) ? operation : undefined;
    },
    PATIENCE_MS,
    `the update of ${station}`,
  );

/** Asked again while the gateway cannot decide: nothing has happened then. */
async function post({ endpoints }: Cluster, path: string): Promise<{ status: number; body: unknown }> {
  const headers = { authorization: `Bearer ${endpoints.apiKey}` };
  const ask = () => fetch(`${endpoints.httpUrl}/v1${path}`, { method: 'POST', headers });
  const response = await askUntilServed(ask, PATIENCE_MS, `POST ${path}`);
  return { status: response.status, body: await response.json() };
}

/** Two hours from now, for an hour, at a depot in UTC. */
const clockIn = (hours: number): string => new Date(Date.now() + hours * 3600_000).toISOString().slice(11, 16);

await t.test(
  'an update in a closed window waits, survives its worker, and goes on where the window is another',
  async (t) => {
    const image = makeImage(400_000, 'window');
    const location = origin.serve('/window.bin', image.bytes);
    const options = { dataDir: `${dir}/window` };
    const closed = await startCluster(t, {
      ...options,
      env: { DOWNLOAD_WINDOW: `${clockIn(2)}-${clockIn(3)}`, DEPOT_TIME_ZONE: 'UTC' },
    });
    const client = await connect(t, closed, 'gate');
    t.equal(await update(client, 5, { location }), 'Accepted');
    await client.awaitStatus(5, 'DownloadScheduled', PATIENCE_MS);
    const held = await seen(closed, 'gate', ({ waiting }) => waiting?.for === 'download_window');
    t.match(held, { status: 'DownloadScheduled', waiting: { liftedBy: ['time', 'operator'] } });
    const inMs = Date.parse(held.waiting?.until ?? '') - Date.now();
    t.ok(inMs > 1.5 * 3600_000 && inMs <= 2.1 * 3600_000, `it opens in ${inMs} ms`);
    const wan = (await closed.get('/wan')) as { timeZone: string; window: { open: boolean; until?: string } };
    t.match(wan, { timeZone: 'UTC', window: { open: false } });
    // That of the operation is counted on the depot's clock: an estimate.
    const apartMs = Math.abs(Date.parse(wan.window.until ?? '') - Date.parse(held.waiting?.until ?? ''));
    t.ok(apartMs <= 30_000, `the same time, but for ${apartMs} ms`);
    await closed.kill('ota-worker-1');
    await closed.kill('gateway-1');
    await awaitUntil(() => closed.readyCount('gateway-1') === 2, PATIENCE_MS, 'the gateway to serve again');
    t.match(await seen(closed, 'gate', () => true), {
      status: 'DownloadScheduled',
      waiting: { for: 'download_window' },
    });
    t.equal(origin.stats('/window.bin').bodyBytes, 0, 'not a byte came');
    await client.close();
    await closed.stop();

    const open = await startCluster(t, options);
    const done = await seen(open, 'gate', ({ status }) => status === 'Downloaded');
    t.match(await post(open, `/stations/gate/firmware-updates/${done.operationId}/allow-installation`), {
      status: 200,
    });
    const { history } = await seen(open, 'gate', ({ status }) => status === 'Installed');
    const told = history.map(({ status }) => status);
    t.same(told.slice(0, 5), ['Offered', 'Accepted', 'DownloadScheduled', 'Downloading', 'Downloaded']);
    const again = await connect(t, open, 'gate');

    await t.test('an operator pauses a download, its worker is killed, and it goes on where it was', async (t) => {
      const slow = makeImage(2_000_000, 'paused');
      const path = '/paused.bin';
      const from = origin.serve(path, slow.bytes, { bytesPerSecond: 100_000 });
      t.equal(await update(again, 6, { location: from }), 'Accepted');
      await origin.awaitBytes(path, 300_000);
      const { operationId } = await seen(open, 'gate', ({ status }) => status === 'Downloading');
      const one = `/stations/gate/firmware-updates/${operationId}`;
      t.match(await post(open, `${one}/pause`), { status: 200, body: { status: 'DownloadPaused' } });
      await again.awaitStatus(6, 'DownloadPaused', PATIENCE_MS);
      await open.kill('ota-worker-1');
      const paused = await seen(open, 'gate', ({ waiting }) => waiting?.for === 'operator_pause');
      t.match(paused, { status: 'DownloadPaused', waiting: { liftedBy: ['operator'] } });

      origin.serve(path, slow.bytes);
      t.match(await post(open, '/wan/pause'), { status: 200, body: { paused: true } });
      t.match(await post(open, `${one}/resume`), { status: 200 });
      await seen(open, 'gate', ({ waiting }) => waiting?.for === 'depot_pause');
      t.match(await post(open, '/wan/resume'), { status: 200, body: { paused: false } });
      await allowAfter(again, 6, 'Downloaded');
      t.same(again.statusNames(6).slice(0, 4), ['Downloading', 'DownloadPaused', 'Downloading', 'Downloaded']);
      t.ok(origin.stats(path).bodyBytes <= slow.bytes.length + 2 * 256 * 1024, `${origin.stats(path).bodyBytes} bytes`);
    });
  },
);
