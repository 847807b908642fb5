/** Commands of documents, run as they stand there, against a run of their own. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UP_SCRIPT } from '@khumbu/embedded-run/cluster';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** Settings of curl by which it asks again what a busy gateway could not decide. */
export const PATIENT_CURL = join(ROOT, 'test/system/fixtures/curl');
export const COMMANDS_MS = 180_000;
const START_MS = 60_000;

export interface Block {
  readonly language: string;
  /** The word after the language: the terminal that the commands are for. It is not shown to readers. */
  readonly terminal: string;
  readonly text: string;
}

/** The fenced blocks of a document in their order. */
export const allBlocks = (file: string): readonly Block[] =>
  Array.from(
    readFileSync(join(ROOT, file), 'utf8').matchAll(/^```(\w+)(?: (\w+))?\n([\s\S]*?)^```$/gm),
    ([, language = '', terminal = '', text = '']) => ({ language, terminal, text }),
  );

/** Those of one language. */
export const blocks = (file: string, language: string): readonly string[] =>
  allBlocks(file).flatMap((block) => (block.language === language ? [block.text] : []));

export async function startRun(
  dataDir: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ run: Child; line: Record<string, string> }> {
  const free = { HTTP_PORT: '0', MQTT_PORT: '0', REDIS_PORT: '0', S3_PORT: '0' };
  const env = { ...process.env, ...free, ...more, DATA_DIR: dataDir, UP_JSON: '1', npm_lifecycle_event: '' };
  const run = await startChild(process.execPath, [UP_SCRIPT], { cwd: ROOT, env });
  const line = await awaitUntil(
    () => run.exit() !== undefined || /^\{.*\}\n/.exec(run.stdout())?.[0],
    START_MS,
    'the run to be ready',
  );
  if (line === true) throw new Error(`the run ended: ${run.output()}`);
  return { run, line: JSON.parse(line) as Record<string, string> };
}

export const portOf = (url: string | undefined): string => new URL(url ?? '').port;

const isSaid = (line: string): boolean => line.startsWith('everest_api/');
/** What Khumbu said to the station; the rest comes from other programs, whose lines may overtake it. */
export const saidBy = (text: string): readonly string[] => text.split('\n').filter(isSaid);
export const othersOf = (text: string): readonly string[] => text.split('\n').filter((line) => !isSaid(line));

/** Run the commands in a shell of their own until nothing of them runs any more, servers and listeners included. */
export async function paste(commands: readonly string[], env: Record<string, string>): Promise<Child> {
  const script = `set -e\n${commands.join('\n')}`;
  const shell = await startChild('bash', ['-c', script], {
    cwd: ROOT,
    env: { ...process.env, CURL_HOME: PATIENT_CURL, ...env },
    detached: true,
  });
  try {
    await within(once(shell.process, 'close'), COMMANDS_MS, 'the commands to end');
  } catch (error) {
    process.kill(-shell.pid, 'SIGKILL');
    throw new Error(`what the commands wrote: ${shell.output()}`, { cause: error });
  }
  return shell;
}

/** A shell that stays open from block to block, so that what one sets the next one has. */
export async function openTerminal(command: readonly string[], env: Record<string, string> = {}) {
  // The test runner gives every child options of its own, which the compiler does not bear.
  const shell = await startChild('env', ['-u', 'NODE_OPTIONS', ...command], {
    cwd: ROOT,
    env: { ...process.env, CURL_HOME: PATIENT_CURL, ...env },
    detached: true,
    stdin: true,
  });
  // That it ended is told by the next block.
  shell.process.stdin?.on('error', () => {});
  shell.process.stdin?.write('set -e\n');
  return {
    /** Resolves with what it printed since the last block once every command of this one has succeeded. */
    async paste(text: string): Promise<string> {
      const from = shell.stdout().length;
      const mark = randomUUID();
      shell.process.stdin?.write(`${text}\nprintf '%s\\n' '' ${mark}\n`);
      const end = await awaitUntil(
        () => {
          const at = shell.stdout().indexOf(`\n${mark}\n`, Math.max(0, from - 1));
          return shell.exit() ? 'ended' : at >= 0 && { at };
        },
        COMMANDS_MS,
        () => `the commands to end: ${text}\nwhat they wrote: ${shell.output()}`,
      );
      if (end === 'ended') throw new Error(`a command failed: ${text}\nwhat they wrote: ${shell.output()}`);
      return shell.stdout().slice(from, end.at);
    },
    output: () => shell.output(),
    /** Safe to repeat. */
    async close(): Promise<void> {
      shell.process.stdin?.end();
      try {
        process.kill(-shell.pid, 'SIGKILL');
      } catch {
        // It went by itself.
      }
      await shell.exited;
    },
  };
}
export type Terminal = Awaited<ReturnType<typeof openTerminal>>;
