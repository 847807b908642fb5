/** What a depot reaches outside: a server of images that also takes archives. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeImage } from '@khumbu/test-support/firmware';
import type { Cleanup } from '../depot/cleanup.js';
import type { Scene } from './mix.js';

/** Serves a few images, answers 404 below `/nowhere`, swallows what is put. It keeps nothing. */
export async function startServers(cleanup: Cleanup): Promise<Pick<Scene, 'images' | 'nowhere' | 'sink'>> {
  const bodies = Array.from({ length: 5 }, (_, index) => makeImage(20_000 + index, `image ${index}`).bytes);
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const body = bodies[Number(/^\/image-(\d)/.exec(request.url ?? '')?.[1] ?? Number.NaN)];
      if (request.method !== 'GET') response.writeHead(201).end();
      else if (!body) response.writeHead(404).end();
      else if (request.headers['if-none-match'] === '"1"') response.writeHead(304, { etag: '"1"' }).end();
      else response.writeHead(200, { etag: '"1"', 'content-length': body.length }).end(body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanup.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const images = bodies.map((_, index) => `${base}/image-${index}.bin#disable_connectors_during_install=false`);
  return { images, nowhere: `${base}/nowhere`, sink: `${base}/logs/` };
}
