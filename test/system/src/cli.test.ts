/** Every command of the command line, and those of docs/cli.md as they stand there, against one run. */
import { statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCommand } from '@khumbu/embedded-run/programs';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import t from 'tap';
import { allBlocks, openTerminal, portOf } from './document-commands.js';
import { BIN, type Ended, type Given, khumbu, startKhumbu } from './khumbu.js';

t.setTimeout(1_700_000);
const dir = await mkdtemp(join(tmpdir(), 'khumbu-cli-'));
const at = (name: string): string => join(dir, name);
const origin = await startOrigin();
const FREE = { HTTP_PORT: '0', MQTT_PORT: '0', REDIS_PORT: '0', S3_PORT: '0' };
const run = await startKhumbu(['up', '--json'], { cwd: dir, env: { ...FREE, DATA_DIR: at('var') } });
t.teardown(async () => {
  await run.end('SIGTERM');
  await origin.close();
  await rm(dir, { recursive: true, force: true });
});

const announced = await awaitUntil(
  () => run.exit() !== undefined || /^\{.*\}\n/.exec(run.stdout())?.[0],
  60_000,
  () => `khumbu up to be ready: ${run.output()}`,
);
if (announced === true) throw new Error(`khumbu up has ended: ${run.output()}`);
const { apiKey, httpUrl } = JSON.parse(announced) as { apiKey: string; httpUrl: string };
const HERE = {
  HOME: dir,
  XDG_CONFIG_HOME: at('.config'),
  DATA_DIR: at('var'),
  HTTP_PORT: portOf(httpUrl),
  KHUMBU_TIMEOUT_S: '120',
  KHUMBU_RETRY_S: '60',
};
const all: Ended[] = [];
/** In a folder of its own, with nothing but the depot of this machine. */
async function call(args: readonly string[], given: Given = {}): Promise<Ended> {
  const ended = await khumbu(args, { cwd: dir, ...given, env: { ...HERE, ...given.env } });
  all.push(ended);
  return ended;
}
// biome-ignore lint/suspicious/noExplicitAny: what is printed is looked at member by member
const parsed = (text: string): any => JSON.parse(text);
const failureOf = ({ output }: Ended) => parsed(output.trim().split('\n').at(-1) ?? '').error;
const image = origin.serve('/charger.img', Buffer.alloc(200_000, 7));

await awaitUntil(
  async () => parsed((await call(['stations', '--json'])).stdout).length === 3,
  20_000,
  'three stations to be heard',
);

await t.test('stations', { timeout: 900_000 }, async (t) => {
  const seen = async () => {
    const table = await call(['stations']);
    t.equal(table.code, 0);
    return /^charger_2 +here /m.test(table.stdout) && table;
  };
  const table = await awaitUntil(seen, 30_000, 'charger_2 to be here');
  t.match(table.stdout, /^STATION +STATE +VERSION/);
  t.equal(parsed((await call(['stations', 'charger_3', '--json'])).stdout).stationId, 'charger_3');
  const unknown = await call(['stations', 'nobody', '--json']);
  t.equal(unknown.code, 3, 'the depot does not know it');
  t.match(failureOf(unknown), { code: 'STATION_UNKNOWN', status: 404, exitCode: 3 });
});

await t.test('an update with live progress, to the end', { timeout: 900_000 }, async (t) => {
  // So slow that its stream of events is open before all bytes are there.
  const slow = origin.serve('/slow.img', Buffer.alloc(200_000, 8), { bytesPerSecond: 20_000 });
  const done = await call(['update', 'charger_1', slow, '--allow', '--json']);
  t.equal(done.code, 0, done.output);
  t.match(parsed(done.stdout), { status: 'Installed', outcome: { ok: true }, permissionBy: 'rest' });
  const told = done.output.split('\n').map((text) => text.split(/[ ,]/)[0] ?? '');
  const order = ['Downloading', 'Downloaded', 'Installing', 'Installed'].map((status) => told.indexOf(status));
  t.ok(
    order.every((place, index) => place >= 0 && place > (order[index - 1] ?? -1)),
    done.output,
  );
  const failed = await call(['update', 'charger_1', `${origin.url}/nothing.img`, '--retries', '1', '--wait']);
  t.equal(failed.code, 1, 'it ended badly');
  t.match(failed.output, 'http_404');
});

await t.test('an update that outlasts --timeout, is found, allowed and waited for', { timeout: 900_000 }, async (t) => {
  const late = await call(['update', 'charger_2', image, '--timeout', '0.2', '--json']);
  t.equal(late.code, 7);
  t.match(failureOf(late), { code: 'TIMEOUT' });
  const list = await call(['operations', '--station', 'charger_2', '--status', 'open', '--json']);
  const [{ operationId }] = parsed(list.stdout);
  const waits = await startKhumbu(['wait', operationId], { cwd: dir, env: HERE });
  await awaitUntil(() => waits.output().includes('waits for permission'), 20_000, 'the wait for a permission');
  // A second one is ended by its person, and the update goes on.
  const interrupted = await startKhumbu(['wait', operationId], { cwd: dir, env: HERE });
  await awaitUntil(() => interrupted.output().includes('waits for permission'), 20_000, 'the second to wait');
  t.equal((await interrupted.end('SIGINT')).code, 130);
  const permitted = await call(['allow', operationId]);
  t.equal(permitted.code, 0, permitted.output);
  t.equal((await within(waits.exited, 30_000, 'the wait to end')).code, 0, waits.output());
  const again = await call(['allow', operationId, '--json']);
  t.equal(again.code, 3);
  t.match(failureOf(again), { code: 'NOT_WAITING' });
});

await t.test('an image of this machine, and one that is canceled', { timeout: 900_000 }, async (t) => {
  writeFileSync(at('hand.img'), Buffer.alloc(300_000, 9));
  const accepted = await call(['update', 'charger_3', '--image', at('hand.img')]);
  t.equal(accepted.code, 0, accepted.output);
  t.match(accepted.output, 'bringing in hand.img, 300.0 kB');
  const canceled = await call(['cancel', accepted.stdout.trim(), '--json']);
  t.equal(canceled.code, 0, canceled.output);
  t.equal(parsed(canceled.stdout).ended, true);
  const again = await call(['update', 'charger_3', '--image', at('hand.img')]);
  t.notMatch(again.output, 'bringing in', 'what the depot holds is not sent again');
  await call(['cancel', again.stdout.trim()]);
});

await t.test('no secret is an argument', { timeout: 900_000 }, async (t) => {
  const refused = await call(['update', 'charger_3', 'ftp://user:pass-w0rd@files.example/i.img']);
  t.equal(refused.code, 2);
  t.notMatch(refused.output, 'pass-w0rd');
  const { origin: place, pathname } = new URL(image);
  const hidden = `${place.replace('://', '://user:pass-w0rd@')}${pathname}`;
  const accepted = await call(['update', 'charger_3', '-', '--wait', '--timeout', '0.1'], { stdin: `${hidden}\n` });
  t.equal(accepted.code, 7, 'it came by stdin');
  t.notMatch(accepted.output, 'pass-w0rd');
  const open = await call(['operations', '--station', 'charger_3', '--status', 'open', '--json']);
  for (const { operationId } of parsed(open.stdout)) await call(['cancel', operationId]);
  const url = await call(['stations', '--url', 'http://user:pass-w0rd@127.0.0.1:1']);
  t.equal(url.code, 2);
  t.notMatch(url.output, 'pass-w0rd');
});

await t.test('logs, from the question to the file', { timeout: 900_000 }, async (t) => {
  const done = await call(['logs', 'charger_1', '--json']);
  t.equal(done.code, 0, done.output);
  const { file, operation } = parsed(done.stdout);
  t.equal(operation.status, 'Uploaded');
  t.equal(statSync(at(file)).size, operation.sizeBytes);
  t.equal(statSync(at(file)).mode & 0o077, 0, 'for its owner alone');
  const there = await call(['logs', 'charger_1', '--output', file]);
  t.equal(there.code, 2, 'what is there is not replaced');
  const piped = await call(['logs', 'charger_1', '--output', '-', '--since', '1h']);
  t.equal(piped.code, 0);
  t.equal(piped.stdout.slice(0, 1).charCodeAt(0), 0x1f, 'gzip');
});

await t.test('a reset is asked for, or said', { timeout: 900_000 }, async (t) => {
  const unasked = await call(['reset', 'charger_1']);
  t.equal(unasked.code, 2);
  t.match(unasked.output, '--yes');
  const seen = await startKhumbu(['events', '--station', 'charger_1', '--kind', 'reset', '--count', '2', '--json'], {
    cwd: dir,
    env: HERE,
  });
  const known = await call(['operations', '--station', 'charger_1', '--kind', 'reset', '--json']);
  t.same(parsed(known.stdout), []);
  const done = await call(['reset', 'charger_1', '--yes', '--wait', '--json']);
  t.equal(done.code, 0, done.output);
  t.match(parsed(done.stdout), { status: 'Restarted', resetType: 'Soft' });
  // The stream may have opened behind its beginning.
  await call(['reset', 'charger_1', '--yes', '--wait']);
  t.equal((await within(seen.exited, 30_000, 'two events')).code, 0);
  const events = seen.stdout().trim().split('\n').map(parsed);
  t.equal(events.length, 2);
  t.match(events[0], { event: { type: 'operation', kind: 'reset', stationId: 'charger_1' } });
});

await t.test('a filter chooses, and a wrong one is shown where it is wrong', { timeout: 900_000 }, async (t) => {
  const idsOf = ({ stdout }: Ended, member: string) => parsed(stdout).map((one: Record<string, string>) => one[member]);
  const wanted = ['--filter', 'station in (charger_1, charger_3) and state = here'];
  const chosen = await call(['stations', ...wanted, '--sort', 'stationId', '--reverse', '--json']);
  t.strictSame(idsOf(chosen, 'stationId'), ['charger_3', 'charger_1'], chosen.output);
  const uploads = ['operations', '--filter', 'kind = log_upload and station = charger_1 and ok = true'];
  const oldest = idsOf(await call([...uploads, '--sort', 'createdAt', '--json']), 'operationId');
  t.ok(oldest.length > 1);
  const newest = await call([...uploads, '--sort', 'createdAt', '--reverse', '--limit', '1', '--json']);
  t.strictSame(idsOf(newest, 'operationId'), [oldest.at(-1)]);
  t.match(newest.output, 'there are more than 1');
  t.same(idsOf(await call([...uploads, '--until', '7d', '--json']), 'operationId'), []);
  const wrong = await call(['stations', '--filter', 'label.site == north']);
  t.equal(wrong.code, 2);
  t.match(wrong.output, /character 13: .*\n {2}label\.site == north\n {14}\^/);
  const unknown = await call(['operations', '--filter', 'colour = red', '--json']);
  t.match(failureOf(unknown), { code: 'FILTER_INVALID', message: /is no field/ });
  t.equal((await call(['stations', 'charger_1', '--filter', 'state = here'])).code, 2);
});

await t.test('one order for many stations', { timeout: 900_000 }, async (t) => {
  const tried = await call(['bulk', 'logs', '--filter', 'station ~ charger_*', '--dry-run', '--json']);
  t.equal(tried.code, 0, tried.output);
  t.match(parsed(tried.stdout), { dryRun: true, total: 3, accepted: 3 });
  const named = ['bulk', 'logs', 'charger_1', 'charger_2', '--title', 'Weekly', '--idempotency-key', 'weekly'];
  const done = await call([...named, '--wait', '--json']);
  t.equal(done.code, 0, done.output);
  const { orderId, operations, results } = parsed(done.stdout);
  t.match(operations, [
    { stationId: 'charger_1', status: 'Uploaded', title: 'Weekly', orderId },
    { stationId: 'charger_2', status: 'Uploaded', title: 'Weekly', orderId },
  ]);
  const again = await call([...named, '--json']);
  t.match(parsed(again.stdout), { orderId, results }, 'nothing is done twice');
  const some = await call(['bulk', 'logs', 'charger_1', 'nobody']);
  t.equal(some.code, 3, 'one has refused');
  t.match(some.stdout, /^charger_1 +log-upload-\S+ +accepted$/m);
  t.match(some.stdout, /^nobody +STATION_UNKNOWN: /m);
  const none = await call(['bulk', 'reset', '--filter', 'label.site = nowhere', '--yes']);
  t.equal(none.code, 3);
  t.match(none.output, 'no station fits');
  t.equal((await call(['bulk', 'reset', '--yes'])).code, 2, 'of which stations?');
  const unasked = await call(['bulk', 'reset', 'charger_2']);
  t.equal(unasked.code, 2);
  t.match(unasked.output, '--yes');
  const reset = await call(['bulk', 'reset', '--filter', 'station in (charger_2, charger_3)', '--yes', '--wait']);
  t.equal(reset.code, 0, reset.output);
  t.match(reset.stdout, /^charger_2 .* Restarted$/m);
  t.match(reset.stdout, /^charger_3 .* Restarted$/m);
  const update = ['bulk', 'update', 'charger_2', 'charger_3', '--allow', '--yes'];
  t.equal((await call([...update, '--dry-run', '--image', at('hand.img')])).code, 2, 'it would be brought in');
  const updated = await call([...update, '--image', at('hand.img'), '--wait', '--json']);
  t.equal(updated.code, 0, updated.output);
  t.match(parsed(updated.stdout).operations, [{ status: 'Installed' }, { status: 'Installed' }]);
  const failed = await call([
    'bulk',
    'update',
    'charger_3',
    '--location',
    `${origin.url}/none`,
    '--retries',
    '1',
    '--yes',
    '--wait',
  ]);
  t.equal(failed.code, 1, failed.output);
  t.match(failed.stdout, /^charger_3 .* DownloadFailed \(http_404/m);
});

await t.test('who orders for many in a terminal says yes to these very stations', { timeout: 900_000 }, async (t) => {
  const inTerminal = (stations: string) => {
    const command = `env -u NODE_OPTIONS '${process.execPath}' '${BIN}' bulk reset ${stations}`;
    const env = { ...process.env, ...HERE };
    return startChild('script', ['-qec', command, '/dev/null'], { cwd: dir, env, stdin: true });
  };
  const answer = async (word: string) => {
    const child = await inTerminal('charger_1 nobody');
    await awaitUntil(
      () => child.output().includes('Type yes: '),
      30_000,
      () => `the question: ${child.output()}`,
    );
    child.process.stdin?.write(`${word}\n`);
    const { code } = await within(child.exited, 30_000, () => `the end: ${child.output()}`);
    return { code, output: child.output() };
  };
  const done = await answer('yes');
  t.match(
    done.output,
    '2 stations will be reset (charger_1, nobody), of which 1 would refuse it now. Its EVerest restarts;',
  );
  t.match(done.output, /^charger_1 +reset-\S+ +accepted/m);
  t.equal(done.code, 3);
  const not = await answer('no');
  t.equal(not.code, 130);
  t.match(not.output, 'nothing was asked of any station');
  const refused = await inTerminal('nobody');
  t.equal((await within(refused.exited, 30_000, () => `the end: ${refused.output()}`)).code, 3);
  t.match(refused.output(), 'nothing is done: 0 accepted, 1 refused', 'nothing to say yes to');
});

await t.test(
  'a station that restarts already is waited for, and an order is given again by its key',
  {
    timeout: 900_000,
  },
  async (t) => {
    const stations = ['charger_2', 'charger_3'];
    const post = async (path: string, body: object, key: string = crypto.randomUUID()) => {
      const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'idempotency-key': key };
      const answer = await fetch(`${httpUrl}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return parsed(await answer.text());
    };
    // The first reset has to be open still when the order for many is decided, however busy this machine is.
    const met = await awaitUntil(
      async () => {
        const key = crypto.randomUUID();
        const { operationId } = await post('/v1/stations/charger_3/reset', { type: 'Soft' });
        const order = await post('/v1/resets', { target: { stations }, order: { type: 'Soft' } }, key);
        return (
          operationId !== undefined &&
          order.results?.[1]?.operationId === operationId && { key, operationId, orderId: order.orderId }
        );
      },
      60_000,
      'an order that meets a reset',
    );
    const again = ['bulk', 'reset', 'charger_3', 'charger_2', '--wait', '--idempotency-key', met.key, '--json'];
    const done = await call([...again, '--yes']);
    t.equal(done.code, 0, done.output);
    const { orderId, operations } = parsed(done.stdout);
    t.equal(orderId, met.orderId, 'nothing is done twice');
    t.match(operations, [
      { stationId: 'charger_2', status: 'Restarted', orderId },
      { stationId: 'charger_3', status: 'Restarted', operationId: met.operationId },
    ]);
    t.notOk('orderId' in operations[1], 'it is of no order');
  },
);

await t.test('keys: made, followed by the gateway, with a scope, withdrawn', { timeout: 900_000 }, async (t) => {
  const file = at('var/api-keys.json');
  const made = await call(['keys', 'add', 'watcher', '--scope', 'read', '--file', file, '--json']);
  t.equal(made.code, 0, made.output);
  const { key } = parsed(made.stdout);
  const asWatcher = (args: readonly string[]) => call([...args, '--key-stdin', '--json'], { stdin: `${key}\n` });
  await awaitUntil(async () => (await asWatcher(['stations'])).code === 0, 10_000, 'the key to be known');
  const denied = await asWatcher(['reset', 'charger_2', '--yes']);
  t.equal(denied.code, 4);
  t.match(failureOf(denied), { code: 'SCOPE_MISSING' });
  t.equal((await call(['keys', 'remove', 'watcher', '--file', file])).code, 0);
  await awaitUntil(async () => (await asWatcher(['stations'])).code === 4, 10_000, 'the key to be withdrawn');
  const broken = await call(['stations', '--key-stdin'], { stdin: 'not a key\n' });
  t.equal(broken.code, 2);
  t.notMatch(broken.output, 'not a key');
});

await t.test('profiles: a file of its owner alone', { timeout: 900_000 }, async (t) => {
  const file = at('.config/khumbu/profiles.json');
  const added = await call(['profiles', 'add', 'north', '--url', httpUrl, '--key-stdin'], { stdin: apiKey });
  t.equal(added.code, 0, added.output);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.match((await call(['profiles', 'list'])).stdout, /^north +http\S+ +in the profile +default$/m);
  const elsewhere = { DATA_DIR: at('nothing'), HTTP_PORT: '1' };
  t.equal((await call(['stations'], { env: elsewhere })).code, 0, 'the default');
  const other = await call(['stations', '--url', httpUrl], { env: elsewhere });
  t.equal(other.code, 4, 'the key of a profile goes to its URL when that profile is meant, and else nowhere');
  await chmod(file, 0o644);
  const open = await call(['stations'], { env: elsewhere });
  t.equal(open.code, 2);
  t.match(open.output, `chmod 600 ${file}`);
  await chmod(file, 0o600);
  t.equal((await call(['profiles', 'remove', 'north'])).code, 0);
});

await t.test('what cannot be', { timeout: 900_000 }, async (t) => {
  t.equal((await call(['campaign', 'start', '--json'])).code, 6);
  t.equal((await call(['stations', '--url', 'http://127.0.0.1:1'], { env: { KHUMBU_RETRY_S: '0' } })).code, 5);
  t.equal((await call(['statoins'])).code, 2);
  t.equal((await call(['stations', '--bogus'])).code, 2);
});

await t.test('driver-check and doctor', { timeout: 900_000 }, async (t) => {
  const check = await call(['driver-check', 'charger_1']);
  t.equal(check.code, 0, check.output);
  t.match(check.stdout, /install +can/);
  writeFileSync(at('stations.yml'), 'stations:\n  gate-1: { driver: simulated }\n');
  t.equal((await call(['driver-check', 'gate-1', '--file', 'stations.yml'])).code, 0, 'no depot is asked');
  t.equal((await call(['driver-check', 'gate-2', '--file', 'stations.yml'])).code, 2);
  const doctor = await call(['doctor', '--json']);
  t.equal(doctor.code, 0, doctor.output);
  const subjects = parsed(doctor.stdout).map((finding: { subject: string }) => finding.subject);
  t.ok(['node', 'settings', 'ports', 'clock', 'keys', 'stations', 'gateway'].every((one) => subjects.includes(one)));
});

await t.test('completion in bash', { timeout: 900_000 }, async (t) => {
  const terminal = await openTerminal(['bash'], { ...HERE, PATH: pathWithKhumbu() });
  t.teardown(() => terminal.close());
  await terminal.paste('source <(khumbu completion bash)');
  const proposed = async (words: string): Promise<string> =>
    (
      await terminal.paste(
        `COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _khumbu; echo "\${COMPREPLY[@]}"`,
      )
    ).trim();
  // What takes longer than a person waits is not proposed.
  const isProposed = async () => (await proposed('khumbu stations charger_')) === 'charger_1 charger_2 charger_3';
  t.ok(await awaitUntil(isProposed, 60_000, 'the stations to be proposed'));
  t.equal(await proposed('khumbu dri'), 'driver-check');
});

/** As npm links it. */
function pathWithKhumbu(): string {
  const bin = join(BIN, '../../../../node_modules/.bin');
  return `${bin}:${process.env.PATH ?? ''}`;
}

const zsh = findCommand(['zsh']);
await t.test('completion in zsh', { skip: zsh ? false : 'zsh is not there' }, async (t) => {
  const terminal = await openTerminal([zsh ?? '', '-f'], {
    ...HERE,
    PATH: pathWithKhumbu(),
  });
  t.teardown(() => terminal.close());
  await terminal.paste(`compadd() { print -r -- "$@" }; compdef() { : }; source <(khumbu completion zsh)`);
  const propose = () => terminal.paste('words=(khumbu stations charger_); CURRENT=3; _khumbu');
  const isProposed = async () => (await propose()).includes('-- charger_1 charger_2 charger_3');
  t.ok(await awaitUntil(isProposed, 60_000, 'the stations to be proposed'));
});

await t.test('the commands of docs/cli.md', { timeout: 900_000 }, async (t) => {
  const terminal = await openTerminal(['bash'], {
    ...HERE,
    TMPDIR: dir,
    PATH: pathWithKhumbu(),
  });
  t.teardown(() => terminal.close());
  let text = '';
  const blocks = allBlocks('docs/cli.md').filter((block) => block.terminal === 'depot');
  t.ok(blocks.length > 8, 'the page has commands');
  for (const block of blocks) text += await terminal.paste(block.text);
  t.match(text, /^manifest\.json$/m, 'the archive is a real one');
  t.match(text, /^reset Restarted$/m);
  t.match(text, /^fleet-tool +operate +[0-9a-f]{8}$/m);
});

await t.test('nothing was said of the key', { timeout: 900_000 }, async (t) => {
  t.notOk(all.some(({ output }) => output.includes(apiKey)));
});

await t.test('khumbu up ends in order', async (t) => {
  t.match(await run.end('SIGINT', 30_000), { code: 0 }, run.output());
});
