/** What the scripts of the project load when they run: lint and types do not look into it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = join(import.meta.dirname, '../../../..');

void t.test('every module that a script loads is there', async (t) => {
  const folder = join(ROOT, 'scripts');
  let count = 0;
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.mjs'))) {
    const text = readFileSync(join(folder, name), 'utf8');
    for (const [, specifier = ''] of text.matchAll(/import\('((?:@khumbu\/|\.)[^']+)'\)/g)) {
      count += 1;
      const path = specifier.startsWith('.') ? join(folder, specifier) : fileURLToPath(import.meta.resolve(specifier));
      t.ok(existsSync(path), `${name}: ${specifier}`);
    }
  }
  t.ok(count > 10, 'they were found');
});
