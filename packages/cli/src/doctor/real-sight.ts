/** The checks' eyes on this machine and its servers. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { findCommand } from '@khumbu/embedded-run/programs';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { whyPortIsTaken } from '@khumbu/shared/runtime/free-port';
import { readPinned, readPrivateKey } from '@khumbu/station-drivers/transports/ssh/credentials';
import { lookAtBrokerAt } from './real-broker.js';
import { lookAtRedisAt } from './real-redis.js';
import type { Answer, FileFacts, Room, Sight } from './sight.js';

const PATIENCE_MS = 5000;
/** An object that nobody puts there: that it is absent says that the bucket is there, and that we may look. */
const ABSENT = 'khumbu-doctor/absent';
const run = promisify(execFile);

async function get(url: string, key?: string): Promise<Answer> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
    (error: unknown) => {
      throw error instanceof Error && error.cause !== undefined ? error.cause : error;
    },
  );
  const text = await response.text();
  const date = response.headers.get('date');
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Of something that is no gateway.
  }
  // Whole seconds: half of one is what it is off on average.
  const clockOffsetMs = date === null ? undefined : Date.parse(date) + 500 - Date.now();
  return { status: response.status, body, ...(clockOffsetMs === undefined ? {} : { clockOffsetMs }) };
}

function fileAt(path: string): FileFacts | undefined {
  try {
    const facts = statSync(path);
    return { isFile: facts.isFile(), mode: facts.mode & 0o777 };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function roomAt(path: string): Room {
  let folder = resolve(path);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  const { bavail, bsize, ffree, files } = statfsSync(folder);
  let isWritable = true;
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    isWritable = false;
  }
  // Some file systems count no files.
  return { freeBytes: bavail * bsize, freeFiles: files === 0 ? Number.POSITIVE_INFINITY : ffree, isWritable, folder };
}

async function isClockSynchronized(): Promise<boolean | undefined> {
  try {
    const { stdout } = await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
      timeout: PATIENCE_MS,
    });
    const word = stdout.trim();
    return word === 'yes' ? true : word === 'no' ? false : undefined;
  } catch {
    // Without systemd nobody says.
    return undefined;
  }
}

export function createSight(): Sight {
  return {
    nodeVersion: process.versions.node,
    now: Date.now,
    redis: lookAtRedisAt,
    broker: lookAtBrokerAt,
    whyPortIsTaken,
    get,
    fileAt,
    read: (path) => readFileSync(path),
    roomAt,
    async askStore(config) {
      const store = createObjectStore(config, { stallMs: PATIENCE_MS });
      try {
        await store.presignFoundGet(
          { bucket: config.S3_BUCKET, key: ABSENT },
          60,
          AbortSignal.timeout(3 * PATIENCE_MS),
        );
      } catch (error) {
        if (!hasCode(error, 'S3_NO_SUCH_KEY')) throw error;
      } finally {
        store.close();
      }
    },
    hasCommand: (names) => findCommand(names) !== undefined,
    async sshFiles(target) {
      if (target.privateKeyFile !== undefined) {
        const facts = fileAt(target.privateKeyFile);
        if (facts && (facts.mode & 0o077) !== 0)
          throw new Error(`private_key_file ${target.privateKeyFile} may be read by others: chmod 600`);
        await readPrivateKey(target.privateKeyFile);
      }
      await readPinned(target);
    },
    isClockSynchronized,
  };
}
