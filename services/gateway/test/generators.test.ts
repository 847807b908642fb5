/** docs/openapi.json is what is served, our client is made from it, and the generators of others make code of it that compiles. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
t.setTimeout(900_000);

async function node(...args: readonly string[]): Promise<{ code: unknown; said: string }> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      said += bytes.toString('utf8');
    });
  const [code] = await once(child, 'close');
  return { code, said };
}

await t.test('docs/openapi.json is what a gateway serves', async (t) => {
  t.match(await node('scripts/openapi-document.mjs', '--check'), { code: 0 });
});

await t.test('the types of our client are those of the document', async (t) => {
  t.match(await node('scripts/client-types.mjs', '--check'), { code: 0 });
});

await t.test('openapi-ts and orval make code of it that compiles in strict mode', async (t) => {
  const folder = `${t.testdir()}/generated`;
  t.match(await node('packages/client/generators/strict.mjs', 'docs/openapi.json', folder), { code: 0 });
});
