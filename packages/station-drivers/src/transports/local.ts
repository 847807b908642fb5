/** Stations that are the host which a worker runs on. */
import { spawn } from 'node:child_process';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { ProcessEnd, StationProcess, Transport } from './transport.js';

/** Nothing of a worker's own environment, which may hold secrets. */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: process.env.HOME ?? '/',
});

async function beginHere(argv: readonly string[], signal: AbortSignal): Promise<StationProcess> {
  signal.throwIfAborted();
  const [program = '', ...args] = argv;
  if (argv.some((word) => word.includes('\0')))
    throw new CodedError('ARGUMENT_REFUSED', 'a word of a command holds a zero byte');
  // Its own process group: a signal for the worker's is not meant for it.
  const child = spawn(program, args, { stdio: 'pipe', env: environment(), detached: true, cwd: '/' });
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('close', (code, how) => resolve(code === null ? { signal: how ?? 'unknown' } : { code }));
    child.once('error', (error) => resolve({ lost: describeError(error) }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new CodedError('STATION_UNREACHABLE', `${program} cannot be started: ${describeError(error)}`)),
    );
  });
  const { stdin, stdout, stderr } = child;
  // A program that reads nothing of its input is no fault.
  stdin.on('error', () => {});
  return {
    stdin,
    stdout,
    stderr,
    ended,
    letGo() {
      stdin.destroy();
      stdout.destroy();
      stderr.destroy();
      child.unref();
    },
  };
}

export const localTransport: Transport = { name: 'local', begin: beginHere };
