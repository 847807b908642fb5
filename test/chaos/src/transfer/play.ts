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
import type { Plan, Run } from './plan.js';
import type { FetchSettings, Source } from './sources.js';

const SCRIPT = fileURLToPath(new URL('../../../../../services/ota-worker/dist/test/fetch-child.js', import.meta.url));
/** Longer than a busy machine lets an honest server wait. */
const STALL_MS = 15_000;
const RUN_MS = 60_000;
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

interface Fetching {
  readonly location: string;
  readonly spool: string;
  readonly settings: FetchSettings;
}

class Worker {
  readonly #child: ChildProcess;
  readonly end: Promise<string>;
  #bytes = 0;
  #waiting: (() => void) | undefined;

  constructor({ location, spool, settings }: Fetching) {
    const more = JSON.stringify({ ...settings, stallMs: STALL_MS });
    const child = spawn(process.execPath, [SCRIPT, location, spool, more], {
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
async function run({ blow }: Run, fetching: Fetching): Promise<readonly string[]> {
  const worker = new Worker(fetching);
  try {
    if (!blow) return [await within(worker.end, RUN_MS, 'a run')];
    await within(worker.reached(blow.atBytes), RUN_MS, 'bytes of a run');
    if (blow.kind === 'kill') {
      worker.kill('SIGKILL');
      return [await worker.end];
    }
    worker.kill('SIGSTOP');
    const other = new Worker(fetching);
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

/** Until a run has fetched the file after which nothing changes any more. `name`: another one for each plan. */
export async function play(plan: Plan, source: Source, name: string, spool: string): Promise<Played> {
  let content = randomBytes(plan.sizeBytes);
  let modifiedMs = Date.now() - 100 * DAY_MS;
  const versions = [sha256Of(content)];
  const ends: string[] = [];
  let breaks = 0;
  for (const { changesTo, keepsTime, ...each } of plan.runs) {
    if (changesTo !== undefined) {
      content = randomBytes(changesTo);
      versions.push(sha256Of(content));
      if (!keepsTime) modifiedMs += DAY_MS;
    }
    const location = source.serve(name, { content, modifiedMs, meets: each.meets });
    const said = await run(each, { location, spool, settings: source.settings });
    ends.push(...said);
    breaks += said.filter((end) => end !== 'fetched').length;
  }
  const folder = join(spool, 'images');
  const names = await readdir(folder);
  const images = await Promise.all(
    names.map(async (one) => ({ name: one, sha256: await sha256OfFile(join(folder, one)) })),
  );
  const parts = await readdir(join(spool, 'fetching'));
  return { ends, versions, images, parts, originBytes: source.sent(name), breaks };
}
