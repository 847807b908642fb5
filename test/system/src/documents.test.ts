/** Documents are true about names: generated tables are current, paths exist, examples are accepted. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import { startChild } from '@khumbu/test-support/children';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const adrs = readdirSync(join(ROOT, 'docs/adr')).map((name) => `docs/adr/${name}`);
const docs = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const ALL = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs, ...adrs];

await t.test('tables that follow from the code are current', async (t) => {
  const check = await startChild(process.execPath, ['scripts/reference-docs.mjs', '--check'], { cwd: ROOT });
  t.same(await check.exited, { code: 0, signal: null }, check.output());
});

/** Made by `infra/make-secrets.sh`, never committed. */
const isMade = (path: string): boolean => /^infra\/(config|secrets)(\/|$)/.test(path);

await t.test('every path and link leads somewhere', async (t) => {
  for (const file of ALL) {
    const text = read(file);
    const named = Array.from(
      text.matchAll(/`((?:packages|services|scripts|test|docs|infra)\/[\w./-]+)`/g),
      (m) => m[1] ?? '',
    );
    const linked = Array.from(text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g), (m) => m[1] ?? '');
    t.same(
      [
        ...named.filter((path) => !isMade(path) && !existsSync(join(ROOT, path))),
        ...linked.filter((path) => !existsSync(join(ROOT, dirname(file), path))),
      ],
      [],
      file,
    );
  }
});

await t.test('the example of the stations file is one, and names every member', async (t) => {
  const text = read('docs/stations-file.md');
  const example = /^```yaml\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '';
  const file = parseStationsFile(example);
  t.equal(profileFrom(file, 'gate-2')?.dialect, 'ocpp1.6');
  t.equal(profileFrom(file, 'nobody'), undefined);
  t.same(profileFrom(parseStationsFile('stations: { a: {} }'), 'a'), undefined, 'a listed station needs a driver');

  // A member the documents do not know would be refused here if it were misspelled, and missed here if it were left out.
  const source = read('packages/shared/src/stations/stations-file.ts');
  const members = Array.from(source.matchAll(/^\s+(\w+): Type\.Optional\(/gm), (m) => m[1] ?? '');
  t.ok(members.length > 15);
  const known = JSON.stringify(file);
  t.same(
    members.filter((name) => !known.includes(`"${name}"`)),
    [],
  );
});
