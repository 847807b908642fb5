/** The commands of the project about one station, run as people run them. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** Both streams. */
  readonly output: string;
}

/** `name`: of a file in scripts/; `input`: what a person types. */
export async function runScript(name: string, args: readonly string[], input = ''): Promise<Ended> {
  const script = join(ROOT, 'scripts', `${name}.mjs`);
  // Not with what the test runner gives to its children: the compiler cannot be loaded so.
  const plain = ['-u', 'NODE_OPTIONS', '-u', 'STATIONS_FILE', process.execPath, script];
  const child = spawn('env', [...plain, ...args], { stdio: 'pipe' });
  const told = { stdout: '', output: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      told.output += text;
      if (name === 'stdout') told.stdout += text;
    });
  // One that reads nothing may have ended.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  return { code, ...told };
}
