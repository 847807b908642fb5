/** Run one benchmark and make its rows, whatever becomes of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createCleanup } from '@khumbu/chaos/depot/cleanup';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Benchmark, Effort, Row } from './row.js';
import { toRow } from './statistics.js';

/** A benchmark that hangs is broken. */
const LIMIT_MS: Readonly<Record<Effort, number>> = { full: 900_000, short: 600_000 };

export interface RunOptions {
  readonly effort: Effort;
  readonly say: (line: string) => void;
}

/** Never rejects for what the benchmark does: rows without figures say why. */
export async function runBenchmark(benchmark: Benchmark, { effort, say }: RunOptions): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-bench-'));
  const cleanup = createCleanup();
  const over = new AbortController();
  let failure: string | undefined;
  let measured: Awaited<ReturnType<Benchmark['measure']>> = {};
  try {
    const late = pause(LIMIT_MS[effort], undefined, { signal: over.signal }).then(() => {
      throw new Error(`took longer than ${LIMIT_MS[effort] / 1000} s`);
    });
    const measuring = benchmark.measure({ effort, dir, say, teardown: (clean) => cleanup.teardown(clean) });
    measured = await Promise.race([measuring, late]);
  } catch (error) {
    failure = describeError(error);
    say(error instanceof Error ? (error.stack ?? failure) : failure);
  } finally {
    over.abort();
  }
  await cleanup.end().catch((error: unknown) => say(`cleaning up: ${describeError(error)}`));
  await rm(dir, { recursive: true, force: true });
  return benchmark.rows.map((spec) => {
    const figures = measured[spec.name];
    for (const note of figures?.notes ?? []) say(note);
    return toRow(spec, figures ?? { why: failure ?? 'not measured' });
  });
}
