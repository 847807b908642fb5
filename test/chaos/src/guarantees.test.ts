import { readFileSync } from 'node:fs';
import t from 'tap';
import { EXPERIMENTS } from './experiments/index.js';

const page = readFileSync(new URL('../../../../docs/guarantees.md', import.meta.url), 'utf8');

void t.test('docs/guarantees.md states each promise as its experiment does, with its command', async (t) => {
  for (const { name, promise } of EXPERIMENTS) {
    t.ok(page.includes(`- **${name}**. ${promise}\n  \`npm run chaos -- --only ${name}\`\n`), `${name}: ${promise}`);
  }
});
