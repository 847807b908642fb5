/** Live views of the logs of a real station, as a worker serves them. */
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { rulesInForce } from '@khumbu/log-redaction/settings';
import { createLogViews } from '@khumbu/operations/log-views/ask-views';
import type { LogViewRequest } from '@khumbu/operations/log-views/messages';
import { keysFor } from '@khumbu/operations/records/keys';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { LogWorkerSettings } from '../src/config.js';
import { startViews } from '../src/views/start-views.js';
import { timeOf, viewLines } from '../src/views/view-lines.js';

t.setTimeout(900_000);
const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const keys = keysFor('test');
const log = createLogger('log-worker', 'silent');

type Asked = Omit<LogViewRequest, 'id'>;
const asked: Asked = { station: 'cs-1', type: 'DiagnosticsLog', newest: false, follow: false, format: 'json' };

/** A station on this host, a worker and a gateway's side. */
async function depot(t: Test, entry: (dir: string) => Promise<object>, settings: Record<string, string> = {}) {
  const dir = t.testdir({});
  const own = (await entry(dir)) as Partial<RealDriverEntry>;
  const driverEntry = { transport: 'local', state_dir: join(dir, 'state'), profile: 'rauc', ...own } as RealDriverEntry;
  const profile = { station: 'cs-1', simulated: {}, driverEntry } as StationProfile;
  const config = loadConfig(LogWorkerSettings, { REDIS_URL: redis.url, ...settings });
  const connections = createSshPool();
  const [commands, listening] = [patientRedis(redis.url, () => undefined), patientRedis(redis.url, () => undefined)];
  const worker = startViews(config, {
    redis: commands,
    keys,
    directory: {
      profileOf: (station) => (station === 'cs-1' ? profile : undefined),
      configured: () => ['cs-1'],
      close: () => undefined,
    },
    driverOf: (of) => createDriver(of, { dataDir: dir, connections, redactionKey: undefined }),
    redactorOf: async (of) =>
      createRedactor({ rules: rulesInForce(config, of), key: 'k'.repeat(64), beginsInside: true }),
    log,
  });
  const views = createLogViews({ redis: commands, subscriber: listening, keys });
  t.teardown(async () => {
    await worker.stop();
    views.close();
    connections.close();
    commands.disconnect();
  });
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  return {
    dir,
    views,
    abort,
    open: (request: Partial<Asked> = {}) => views.open({ ...asked, ...request }, abort.signal),
  };
}

interface Line {
  readonly type: string;
  readonly source?: string;
  readonly text?: string;
  readonly [member: string]: unknown;
}

async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Line, undefined, undefined> {
  let text = '';
  for await (const piece of bytes) {
    text += piece.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as Line;
  }
  return undefined;
}

async function all(bytes: AsyncIterable<Buffer>): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for await (const line of linesOf(bytes)) lines.push(line);
  return lines;
}

const filesEntry = (lines: readonly string[]) => async (dir: string) => {
  const folder = join(dir, 'logs');
  await mkdir(folder);
  await writeFile(join(folder, 'a.log'), lines.map((line) => `${line}\n`).join(''));
  return {
    logs: {
      DiagnosticsLog: [
        { name: 'app', files: [`${folder}/*.log`] },
        { name: 'other', files: [`${dir}/none/*.log`] },
      ],
    },
  };
};

await t.test('a window: its records, what is to be known of it, and the end', async (t) => {
  const { open } = await depot(
    t,
    filesEntry(['2026-11-29T12:00:01.000Z one', '2026-11-29T12:00:02.000Z two', '2026-11-29T12:00:03.000Z three']),
  );
  const since = Date.parse('2026-11-29T12:00:02Z');
  t.same(await all(await open({ since })), [
    { type: 'record', source: 'app', time: '2026-11-29T12:00:02.000Z', text: '2026-11-29T12:00:02.000Z two' },
    { type: 'record', source: 'app', time: '2026-11-29T12:00:03.000Z', text: '2026-11-29T12:00:03.000Z three' },
    { type: 'note', source: 'other', code: 'missing', text: 'there are no such files' },
    { type: 'end', reason: 'complete' },
  ]);
  const one = await all(await open({ sources: ['app'], grep: '^2026.* t[a-z]{2}$' }));
  t.same(
    one.map(({ text, reason }) => text ?? reason),
    ['2026-11-29T12:00:02.000Z two', 'complete'],
  );
  let text = '';
  for await (const piece of await open({ format: 'text', since, sources: ['app'] })) text += piece.toString();
  t.equal(text, 'app | 2026-11-29T12:00:02.000Z two\napp | 2026-11-29T12:00:03.000Z three\n-- end: complete\n');
});

await t.test('secrets are taken out, and no search finds them', async (t) => {
  const { open } = await depot(
    t,
    filesEntry(['2026-11-29T12:00:01.000Z {"idTag":"04A2B3C4"}', '2026-11-29T12:00:02.000Z plain']),
  );
  const lines = await all(await open({ newest: true, sources: ['app'] }));
  t.match(lines[0]?.text, /\{"idTag":"\[rfid:[0-9a-f]{10}\]"\}$/);
  const found = await all(await open({ newest: true, sources: ['app'], grep: '04A2' }));
  t.same(found, [{ type: 'end', reason: 'complete' }]);
});

await t.test('of a line that is too long the rest is left out: a secret may go on there', async (t) => {
  const line = `2026-11-29T12:00:01.000Z {"a":"${'y'.repeat(1024 * 1024 - 60)}","password":"hunter2`;
  const { open } = await depot(t, filesEntry([`${line}${'hunter2'.repeat(20)}"}`, '2026-11-29T12:00:02.000Z next']));
  const [note, first, second] = await all(await open({ sources: ['app'] }));
  t.notOk(first?.text?.includes('hunter'));
  t.ok(first?.text?.startsWith('2026-11-29T12:00:01.000Z {"a":"yyy'));
  t.equal(second?.text, '2026-11-29T12:00:02.000Z next');
  t.match(note, { type: 'note', code: 'line_cut' });
});

await t.test('lines of followed files come mixed, and each file has secrets of its own', async (t) => {
  const { dir, open } = await depot(t, filesEntry([]));
  const at = (name: string): string => join(dir, 'logs', name);
  const lines = linesOf(await open({ newest: true, follow: true, sources: ['app'] }));
  const records: string[] = [];
  const shows = async (file: string, text: string): Promise<string> => {
    await appendFile(at(file), `${text}\n`);
    for (;;) {
      const { value } = await lines.next();
      if (value === undefined) throw new Error('the view has ended');
      if (value.type !== 'record') continue;
      records.push(value.text ?? '');
      return value.text ?? '';
    }
  };
  await shows('a.log', '  "key": "AuthorizationKey",');
  for (let n = 0; n < 5; n += 1) await shows('b.log', `connector ${n}: charging`);
  await shows('b.log', '  "key": "HeartbeatInterval",');
  t.match(await shows('a.log', '  "value": "a secret"'), /^ {2}"value": "\[secret:[0-9a-f]{10}\]"$/);
  t.equal(await shows('b.log', '  "value": "300"'), '  "value": "300"');
  t.notMatch(records.join('\n'), 'a secret');
  await lines.return(undefined);
});

await t.test('what cannot be opened is told with its code', async (t) => {
  const { open, views, abort } = await depot(t, filesEntry([]));
  await t.rejects(open({ sources: ['nothing'] }), { code: 'LOGS_UNAVAILABLE' });
  await t.rejects(open({ station: 'cs-2' }), { code: 'STATION_NOT_CONFIGURED' });
  await t.rejects(views.open(asked, AbortSignal.abort()), { name: 'AbortError' });
  const opening = open();
  abort.abort();
  await t.rejects(opening, { name: 'AbortError' });
});

await t.test('a view has as many bytes as it may', async (t) => {
  const long = Array.from({ length: 3000 }, (_none, n) => `2026-11-29T12:00:01.000Z ${n} ${'x'.repeat(100)}`);
  const { open } = await depot(t, filesEntry(long), { LOG_VIEW_MAX_BYTES: '65536' });
  const lines = await all(await open({ sources: ['app'] }));
  t.same(lines.at(-1), { type: 'end', reason: 'size_limit' });
  t.ok(lines.length > 10 && lines.length < 600);
});

await t.test('what a search leaves out was read from the station, and counts', async (t) => {
  const lines = Array.from({ length: 3000 }, (_none, n) => `2026-11-29T12:00:01.000Z ${n} ${'x'.repeat(100)}`);
  const request = { sources: ['app'], grep: 'nothing' };
  await t.test('as bytes', async (t) => {
    const { open } = await depot(t, filesEntry(lines), { LOG_VIEW_MAX_BYTES: '65536' });
    t.same(await all(await open(request)), [{ type: 'end', reason: 'size_limit' }]);
  });
  await t.test('as bytes in a second', async (t) => {
    const { open } = await depot(t, filesEntry(lines), { LOG_VIEW_BYTES_PER_S: '131072' });
    const begun = performance.now();
    t.same(await all(await open(request)), [{ type: 'end', reason: 'complete' }]);
    // A second's worth comes at once.
    const bytes = lines.join('\n').length;
    t.ok(performance.now() - begun > (bytes / 131_072 - 1) * 1000 - 100, `${bytes} bytes`);
  });
});

await t.test('a view has as much time as it may', async (t) => {
  const { open } = await depot(t, filesEntry([]), { LOG_VIEW_MAX_S: '2' });
  const followed = await all(await open({ newest: true, follow: true, grep: 'nothing' }));
  t.same(followed.at(-1), { type: 'end', reason: 'time_limit' });
});

await t.test(
  'over SSH: followed, and nothing runs at the station once nobody looks',
  { skip: !hasSshd() },
  async (t) => {
    const { dir, open } = await depot(t, async (dir) => {
      const sshd = await startSshd({ dir: join(dir, 'sshd') });
      t.teardown(() => sshd.stop());
      return { ...(await filesEntry(['2026-11-29T12:00:01.000Z one'])(dir)), ...overSsh(sshd) };
    });
    const lines = linesOf(await open({ newest: true, follow: true }));
    const next = async (): Promise<Line | undefined> => {
      for (;;) {
        const { value } = await lines.next();
        if (value === undefined || value.type === 'record') return value;
      }
    };
    t.match(await next(), { source: 'app', text: /one$/ });
    await appendFile(join(dir, 'logs', 'a.log'), '2026-11-29T12:00:02.000Z two\n');
    t.match(await next(), { source: 'app', text: /two$/ });
    await mkdir(join(dir, 'none'));
    await writeFile(join(dir, 'none', 'b.log'), 'three\n');
    t.match(await next(), { source: 'other', text: 'three' }, 'a source in which there was nothing');
    const running = (): string => execFileSync('ps', ['-eo', 'args']).toString();
    t.match(running(), `${dir}/state`);
    await lines.return(undefined);
    await awaitUntil(() => !running().includes(`${dir}/state`), 20_000, 'the programs at the station to end');
  },
);

await t.test('lines: a time where a line begins with one', (t) => {
  t.equal(timeOf('2026-11-29T12:00:01.123456Z boot'), '2026-11-29T12:00:01.123456Z');
  t.equal(timeOf('2026-11-29 12:00:01+01:00 x'), '2026-11-29T12:00:01+01:00');
  t.equal(timeOf('2026-11-29 12:00:01 no zone'), undefined);
  t.equal(viewLines('text').alive(), '');
  t.equal(viewLines('json').alive(), '{"type":"alive"}\n');
  t.end();
});
