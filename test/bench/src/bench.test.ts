/** Every benchmark in its short form: broken ones fail, slow machines do not. */
import t from 'tap';
import { BENCHMARKS } from './benchmarks/index.js';
import { runBenchmark } from './run-benchmark.js';

const LIMIT_MS = 3_600_000;
t.setTimeout(LIMIT_MS);

const names = BENCHMARKS.flatMap(({ rows }) => rows.map(({ name }) => name));
t.equal(new Set(names).size, names.length, 'no name stands for two rows');

for (const benchmark of BENCHMARKS) {
  void t.test(benchmark.rows.map(({ name }) => name).join(', '), async (t) => {
    t.setTimeout(LIMIT_MS);
    const rows = await runBenchmark(benchmark, { effort: 'short', say: (line) => t.comment(line) });
    for (const { name, why, ours } of rows) t.ok(why === undefined && ours !== null, `${name}: ${why ?? ours}`);
  });
}
