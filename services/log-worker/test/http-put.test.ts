import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';
import { type HttpPutInput, httpPut } from '../src/upload/http-put.js';

const ARCHIVE = Buffer.from('an archive');

async function origin(t: Test) {
  const server = await startOrigin();
  t.teardown(() => server.close());
  return server;
}

/** One PUT of a small file. */
async function put(t: Test, url: string, more: Partial<HttpPutInput> = {}): Promise<{ bytes: number }> {
  const path = join(t.testdir({}), 'archive');
  writeFileSync(path, ARCHIVE);
  return httpPut({ url, path, contentType: 'application/gzip', ...more });
}

void t.test('an upload says who sends it', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up');
  await put(t, url);
  await put(t, url, { userAgent: 'depot 7' });
  t.same(
    server.uploads.items.map(({ headers }) => headers['user-agent']),
    [DEFAULT_USER_AGENT, 'depot 7'],
  );
});

void t.test('an upload that is put off says by how long the server wants it', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up', { status: 503, headers: { 'retry-after': '120' } });
  const error: unknown = await put(t, url).catch((failure: unknown) => failure);
  t.match(error, { reason: 'http_503', retryable: true, retryAfterS: 120 });
});
