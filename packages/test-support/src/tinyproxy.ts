/** A real forward proxy on a free loopback port: tinyproxy. */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { startServer } from './server.js';

export interface TinyproxyOptions {
  /** For its config file. */
  readonly dir: string;
  readonly user?: string;
  readonly password?: string;
  /** More lines of its config file. */
  readonly config?: readonly string[];
}

/** Whether it is installed. */
export function hasTinyproxy(): boolean {
  try {
    execFileSync('tinyproxy', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export async function startTinyproxy({ dir, user, password, config = [] }: TinyproxyOptions) {
  await mkdir(dir, { recursive: true });
  const fileOf = (port: number): string => join(dir, `tinyproxy-${port}.conf`);
  const textOf = (port: number): string =>
    [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Timeout 600',
      'LogLevel Connect',
      ...(user === undefined ? [] : [`BasicAuth ${user} ${password}`]),
      ...config,
      '',
    ].join('\n');
  const server = await startServer({
    command: 'tinyproxy',
    args: (port) => ['-d', '-c', fileOf(port)],
    answers: (port) => answersOn(port),
    prepare: (port) => writeFile(fileOf(port), textOf(port)),
  });
  const userinfo = user === undefined ? '' : `${user}:${password}@`;
  return Object.assign(server, {
    /** With the user and password, if it wants them. */
    url: `http://${userinfo}127.0.0.1:${server.port}`,
    /** The request lines it got so far, in order. */
    asked: (): string[] =>
      [...server.output().matchAll(/Request \(file descriptor \d+\): (.*)/g)].map(([, line = '']) => line),
  });
}
