/**
 * `npm run bench`: measure every row and print the table. Exit code 0: everything was measured, whatever the figures; 1:
 * something could not be measured; 2: wrong arguments.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BENCHMARKS } from './benchmarks/index.js';
import type { Benchmark, Row } from './row.js';
import { runBenchmark } from './run-benchmark.js';
import { figure, renderTable } from './table.js';

const USAGE = 'usage: npm run bench [-- [--only NAME]... [--json FILE] [--short] [--list]]';
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const SPECS = BENCHMARKS.flatMap(({ rows }) => rows);

function readArguments() {
  const refuse = (why: string): never => {
    process.stderr.write(`${why}\n${USAGE}\nrows: ${SPECS.map(({ name }) => name).join(', ')}\n`);
    process.exit(2);
  };
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true, default: [] },
        json: { type: 'string' },
        short: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
      },
    });
    const unknown = values.only.find((name) => !SPECS.some((spec) => spec.name === name));
    return unknown === undefined ? values : refuse(`no row is called ${unknown}`);
  } catch (error) {
    if (error instanceof TypeError) return refuse(error.message);
    throw error;
  }
}

async function measure(benchmark: Benchmark, short: boolean): Promise<Row[]> {
  const started = performance.now();
  say(`${benchmark.rows.map(({ name }) => name).join(', ')}:`);
  const rows = await runBenchmark(benchmark, { effort: short ? 'short' : 'full', say: (line) => say(`  ${line}`) });
  const seconds = (performance.now() - started) / 1000;
  for (const { name, unit, ours, ratio, why } of rows)
    say(`  ${name}: ${why ?? `${figure(ours)} ${unit}${ratio === null ? '' : `, ratio ${figure(ratio)}`}`}`);
  say(`  (${seconds.toFixed(0)} s)`);
  return rows;
}

const { only, json, short, list } = readArguments();
if (list) {
  for (const { name, unit, wanted, baselineName } of SPECS)
    say(`${name} (${unit}): ${wanted}; beside: ${baselineName}`);
} else {
  // A stop in the middle must not leave servers behind: children end with this process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const isWanted = (name: string): boolean => only.length === 0 || only.includes(name);
  const results: { spec: (typeof SPECS)[number]; row: Row }[] = [];
  for (const benchmark of BENCHMARKS) {
    if (!benchmark.rows.some(({ name }) => isWanted(name))) continue;
    const rows = await measure(benchmark, short);
    for (const [index, spec] of benchmark.rows.entries()) {
      const row = rows[index];
      if (row && isWanted(spec.name)) results.push({ spec, row });
    }
    if (json !== undefined) {
      const all = results.map(({ row }) => row);
      writeFileSync(json, `${JSON.stringify(all, undefined, 2)}\n`);
    }
  }
  say(`\n${renderTable(results)}`);
  process.exit(results.some(({ row }) => row.why !== undefined) ? 1 : 0);
}
