/** What a user would type instead, with its time. */
import { startChild } from '@khumbu/test-support/children';

export interface CommandTime {
  readonly seconds: number;
  /** User and system, of the command and its children. */
  readonly cpuSeconds: number;
}

/** Run a bash script; its variables come by `env`. Throws when it fails. */
export async function timedCommand(script: string, env: Readonly<Record<string, string>>): Promise<CommandTime> {
  const timed = `set -euo pipefail; TIMEFORMAT='khumbu-time %3R %3U %3S'; time { ${script}; }`;
  const child = await startChild('bash', ['-c', timed], { env: { ...process.env, ...env } });
  const { code } = await child.exited;
  const [, real, user, system] = /^khumbu-time (\S+) (\S+) (\S+)$/m.exec(child.output()) ?? [];
  if (code !== 0 || real === undefined) throw new Error(`the baseline failed: ${child.output()}`);
  return { seconds: Number(real), cpuSeconds: Number(user) + Number(system) };
}
