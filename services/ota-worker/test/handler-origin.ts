/** A server of images whose every answer a test writes itself; `origin.ts` of the test support behaves by itself. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface HandlerOrigin {
  readonly requests: readonly IncomingMessage[];
  /** Host and port. */
  readonly base: string;
  readonly url: string;
}

export async function handlerOrigin(
  t: Test,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HandlerOrigin> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    handler(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { requests, base, url: `http://${base}` };
}
