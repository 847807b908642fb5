import { get } from 'node:http';
import { createMetrics, serveHealth, startHealth } from '@khumbu/shared/runtime/health';
import t from 'tap';

void t.test('the health server', async (t) => {
  let fails = true;
  let hangs = false;
  const asked = { times: 0 };
  const health = startHealth({
    redis: async () => {
      asked.times += 1;
      if (hangs) return new Promise<void>(() => undefined);
      if (fails) throw new Error('redis://u:p@h/ is away');
      return undefined;
    },
    other: async () => undefined,
  });
  t.teardown(() => health.stop());
  const metrics = createMetrics();
  const server = await serveHealth(health, metrics, { host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  const ask = (path: string): Promise<{ status: number | undefined; body: string }> =>
    new Promise((resolve, reject) => {
      get({ port: server.port, host: '127.0.0.1', path }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode, body }));
      }).on('error', reject);
    });
  const readyIs = async (status: number, wanted: RegExp): Promise<void> => {
    const end = performance.now() + 60_000;
    for (;;) {
      const answer = await ask('/readyz');
      if (answer.status === status && wanted.test(answer.body)) return;
      if (performance.now() > end) throw new Error(`no ${status} in time, but ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  t.match(await ask('/livez'), { status: 200, body: '{"live":true}' });
  await readyIs(503, /redis:\/\/h\/ is away/);
  fails = false;
  await readyIs(200, /"redis":"ok".*"other":"ok"/);
  hangs = true;
  await readyIs(503, /no answer in time/);
  hangs = false;
  await readyIs(200, /ok/);
  t.match(await ask('/metrics'), { status: 200, body: /process_cpu_seconds_total/ });
  t.match(await ask('/'), { status: 404 });
  const before = asked.times;
  for (let i = 0; i < 20; i++) await ask('/readyz');
  t.ok(asked.times - before <= 2, 'asking often probes nothing');
  await t.rejects(serveHealth(health, metrics, { host: '127.0.0.1', port: server.port }), { code: 'EADDRINUSE' });
});
