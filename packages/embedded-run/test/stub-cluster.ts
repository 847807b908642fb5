/** The embedded run with stub services, as a process of its own. */

import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';

const UP = new URL('../src/up.js', import.meta.url).href;
const SERVICES = ['gateway', 'ota-worker', 'log-worker', 'system-control', 'station-simulator'] as const;

/** Serves /readyz, says it is ready, writes to a journal when it stops. */
const STUB = `
import { createServer } from 'node:http';
import { appendFileSync } from 'node:fs';
const [name, behaviour] = process.argv[1].match(/([a-z-]+)\\.mjs$/)[1].split('--');
const port = Number(process.env.HEALTH_PORT ?? process.env.HTTP_PORT);
const note = (what) => appendFileSync(process.env.JOURNAL, what + '\\n');
note('start ' + name + ' ' + (process.env.MQTT_TOPIC_PREFIX ?? ''));
const stop = () => { note('stop ' + name); process.exit(0); };
process.on('SIGTERM', () => process.env.STUBBORN === name ? note('deaf ' + name) : stop());
process.on('disconnect', () => process.env.STUBBORN === name || stop());
if (process.env.BROKEN === name) { console.log(JSON.stringify({ level: 60, msg: 'no good' })); process.exit(3); }
if (name !== 'station-simulator') createServer((q, s) => s.writeHead(q.url === '/readyz' ? 200 : 404).end()).listen(port, '127.0.0.1');
else setInterval(() => {}, 1000);
process.send({ ready: true });
`;

export interface StubCluster {
  readonly child: Child;
  readonly dataDir: string;
  /** What the stubs wrote: starts and stops, in order. */
  journal(): string[];
  /** The parsed line of JSON, once everything is ready. */
  ready(): Promise<Record<string, string>>;
  /** Process ids of the children that run, by name. */
  pids(): Record<string, number>;
}

export interface StubOptions {
  readonly dir: string;
  readonly env?: Record<string, string>;
  /** Run it below a shell, as npm does; signals then go to the group. */
  readonly group?: boolean;
}

export async function startStubCluster({ dir, env = {}, group = false }: StubOptions): Promise<StubCluster> {
  await mkdir(dir, { recursive: true });
  const scripts: Record<string, string> = {};
  for (const service of SERVICES) {
    scripts[service] = join(dir, `${service}.mjs`);
    await writeFile(scripts[service], STUB);
  }
  const main = join(dir, 'main.js');
  await writeFile(
    join(dir, 'main.mjs'),
    `import { runUp } from ${JSON.stringify(UP)};
     process.exit(await runUp({ env: process.env, scripts: ${JSON.stringify(scripts)},
       say: (line) => void process.stderr.write(line + '\\n'), announce: (text) => void process.stdout.write(text) }));`,
  );
  const dataDir = join(dir, 'data');
  const journalFile = join(dir, 'journal');
  await writeFile(journalFile, '', { flag: 'a' });
  const settings = {
    HTTP_PORT: '0',
    MQTT_PORT: '0',
    REDIS_PORT: '0',
    S3_PORT: '0',
    UP_JSON: '1',
    STANDBY_GATEWAY: 'false',
    DATA_DIR: dataDir,
    JOURNAL: journalFile,
    npm_lifecycle_event: '',
    ...env,
  };
  const script = main.replace(/\.js$/, '.mjs');
  const [command, args] = group
    ? ['sh', ['-c', `"$0" "$1"; exit $?`, process.execPath, script]]
    : [process.execPath, [script]];
  const child = await startChild(command, args, { env: { ...process.env, ...settings }, detached: group });
  return {
    child,
    dataDir,
    journal: () =>
      readFileSync(journalFile, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    async ready() {
      const line = await awaitUntil(
        () => (child.exit() ? child.output() : /^\{.*\}\n/.exec(child.stdout())?.[0]),
        20_000,
        'the line of JSON',
      );
      if (child.exit()) throw new Error(`it ended: ${line}`);
      return JSON.parse(line) as Record<string, string>;
    },
    pids: () => pidsIn(dataDir),
  };
}

/** Children that a run wrote down, by name. */
function pidsIn(dataDir: string): Record<string, number> {
  const files = readdirSync(join(dataDir, 'run')).filter((file) => file.endsWith('.pid') && file !== 'supervisor.pid');
  return Object.fromEntries(
    files.flatMap((file) => {
      try {
        return [[file.slice(0, -4), JSON.parse(readFileSync(join(dataDir, 'run', file), 'utf8')).pid as number]];
      } catch (error) {
        // A child that ends takes its file along, also between the two looks.
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      }
    }),
  );
}

/** Whether there is such a process; a zombie is none. */
export function alive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
