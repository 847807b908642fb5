/** One download by processes that run the fetch of the ota-worker, as a plan wants it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { within } from '@khumbu/test-support/events';
import type { Origin } from '@khumbu/test-support/origin';
import type { Plan, Run } from './plan.js';

const SCRIPT = fileURLToPath(new URL('../../../../../services/ota-worker/dist/test/fetch-child.js', import.meta.url));
/** Longer than a busy machine lets an honest server wait. */
const STALL_MS = 4000;
const RUN_MS = 60_000;
/** Slow enough that what is under way when a worker is killed is little. */
const BYTES_PER_SECOND = 12_000_000;
const DAY_MS = 86_400_000;

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

export interface Played {
  /** What each process ended with: `fetched`, a reason, or the signal. */
  readonly ends: readonly string[];
  /** Of each version of the file, the last one last. */
  readonly versions: readonly string[];
  /** Of each image in the spool: its name, and its content. */
  readonly images: readonly { readonly name: string; readonly sha256: string }[];
  /** What is left of parts. */
  readonly parts: readonly string[];
  readonly originBytes: number;
  readonly breaks: number;
}

class Worker {
  readonly #child: ChildProcess;
  readonly end: Promise<string>;
  #bytes = 0;
  #waiting: (() => void) | undefined;

  constructor(location: string, spool: string) {
    const child = spawn(process.execPath, [SCRIPT, location, spool, String(STALL_MS)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child = child;
    let last = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = line;
      this.#bytes = Number(line) || this.#bytes;
      this.#waiting?.();
    });
    this.end = new Promise((resolve) => {
      child.once('close', (_code, signal) => {
        resolve(signal ?? last);
        this.#waiting?.();
      });
    });
  }

  /** Resolves when it has so many bytes, or has ended. */
  async reached(bytes: number): Promise<void> {
    while (this.#bytes < bytes && this.#child.exitCode === null && this.#child.signalCode === null)
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Resolves with how it ended; of one that is frozen, after another worker has fetched the file and it was woken. */
async function run({ blow }: Run, location: string, spool: string): Promise<readonly string[]> {
  const worker = new Worker(location, spool);
  try {
    if (!blow) return [await within(worker.end, RUN_MS, 'a run')];
    await within(worker.reached(blow.atBytes), RUN_MS, 'bytes of a run');
    if (blow.kind === 'kill') {
      worker.kill('SIGKILL');
      return [await worker.end];
    }
    worker.kill('SIGSTOP');
    const other = new Worker(location, spool);
    try {
      const end = await within(other.end, RUN_MS, 'a run beside a frozen one');
      worker.kill('SIGCONT');
      return [end, await within(worker.end, RUN_MS, 'a woken run')];
    } finally {
      other.kill('SIGKILL');
    }
  } finally {
    worker.kill('SIGKILL');
  }
}

/** Until a run has fetched the file after which nothing changes any more. */
export async function play(plan: Plan, origin: Origin, path: string, spool: string): Promise<Played> {
  let content = randomBytes(plan.sizeBytes);
  let modified = Date.now() - 100 * DAY_MS;
  const versions = [sha256Of(content)];
  const ends: string[] = [];
  let breaks = 0;
  for (const each of plan.runs) {
    if (each.changesTo !== undefined) {
      content = randomBytes(each.changesTo);
      versions.push(sha256Of(content));
      modified += DAY_MS;
    }
    const slow = { bytesPerSecond: BYTES_PER_SECOND };
    const script = [...each.meets.map(({ behaviour }) => ({ ...slow, ...behaviour })), slow];
    const location = origin.serve(path, content, script, new Date(modified));
    const said = await run(each, location, spool);
    ends.push(...said);
    breaks += said.filter((end) => end !== 'fetched').length;
  }
  const folder = join(spool, 'images');
  const names = await readdir(folder);
  const images = await Promise.all(
    names.map(async (name) => ({ name, sha256: await sha256OfFile(join(folder, name)) })),
  );
  const parts = await readdir(join(spool, 'fetching'));
  return { ends, versions, images, parts, originBytes: origin.stats(path).bodyBytes, breaks };
}
