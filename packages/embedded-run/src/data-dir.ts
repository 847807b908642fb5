/** The folder of the embedded run: one run at a time, its layout, and what is left from a run that was killed. */
import { accessSync, constants, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { identityText, isRunning, stopProcess } from '@khumbu/shared/runtime/process-identity';
import { HOLDER, readIdentity, takeRunLock } from './run-lock.js';

const FOLDERS = ['run', 'log', 'redis', 'mosquitto', 's3', 'spool', 'chargers'] as const;
const LEFTOVER_GRACE_MS = 3000;

const unusable = (path: string, why: string): CodedError =>
  new CodedError('DATA_DIR_UNUSABLE', `DATA_DIR ${path} ${why}`);

async function prepareFolders(path: string): Promise<void> {
  try {
    for (const folder of ['', ...FOLDERS]) {
      await makeFolder(join(path, folder));
      accessSync(join(path, folder), constants.R_OK | constants.W_OK | constants.X_OK);
    }
  } catch (error) {
    if (error instanceof CodedError) throw error;
    if (hasCode(error, 'EEXIST', 'ENOTDIR')) throw unusable(path, 'is not a folder, or something in its way is a file');
    if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) throw unusable(path, 'cannot be written to by this user');
    throw unusable(path, `cannot be used: ${describeError(error)}`);
  }
}

/** Open the folder, made if absent. Rejects with `DATA_DIR_UNUSABLE` or `DATA_DIR_IN_USE`. */
export async function openDataDir(wanted: string) {
  const path = resolve(wanted);
  await prepareFolders(path);
  const lock = takeRunLock(join(path, 'run'), `DATA_DIR ${path}`);
  const pidFile = (name: string): string => join(path, 'run', `${name}.pid`);
  return {
    path,
    /** A path below it. */
    at: (...parts: string[]): string => join(path, ...parts),
    /** Stop the children of an earlier run that was killed; resolves with their names. */
    async stopLeftovers(): Promise<string[]> {
      const stopped: string[] = [];
      for (const file of readdirSync(join(path, 'run'))) {
        if (!file.endsWith('.pid') || file === HOLDER) continue;
        const identity = readIdentity(join(path, 'run', file));
        if (identity && isRunning(identity)) {
          await stopProcess(identity, LEFTOVER_GRACE_MS);
          stopped.push(file.slice(0, -'.pid'.length));
        }
        rmSync(join(path, 'run', file), { force: true });
      }
      return stopped;
    },
    /** Remember a child, so that a later run finds it if we are killed. */
    rememberChild(name: string, pid: number): void {
      // Whole or not at all: the next start, or another process, may read it at any instant.
      const file = pidFile(name);
      writeFileSync(`${file}.new`, identityText(pid));
      renameSync(`${file}.new`, file);
    },
    forgetChild: (name: string): void => rmSync(pidFile(name), { force: true }),
    /** Let the next run in. Safe to repeat. */
    release: (): void => lock.release(),
  };
}
export type DataDir = Awaited<ReturnType<typeof openDataDir>>;
