/** A proxy in front of the object store that can refuse, or take a request and say nothing more. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cleanup } from './cleanup.js';

export type S3Behaviour =
  | 'open'
  /** Answer with this status and S3 code. */
  | { readonly status: number; readonly code: string }
  /** Take the body of a PUT and never answer. */
  | 'silent';

export interface S3FaultProxy {
  readonly endpoint: string;
  /** Where to pass requests on; before that everything is 503. */
  forwardTo(endpoint: string): void;
  behaviour: S3Behaviour;
  /** Requests that came to it. */
  readonly asked: number;
}

const refusal = (code: string): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

export async function openS3FaultProxy(cleanup: Cleanup): Promise<S3FaultProxy> {
  let target: URL | undefined;
  let asked = 0;

  const passOn = (incoming: IncomingMessage, response: ServerResponse, to: URL): void => {
    const { method, url, headers } = incoming;
    const onward = request({ host: to.hostname, port: to.port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.once('close', () => onward.destroy());
    incoming.pipe(onward);
  };

  const server = createServer((incoming, response) => {
    asked += 1;
    const { behaviour } = s3Faults;
    if (behaviour === 'silent' && incoming.method === 'PUT') return void incoming.resume();
    if (behaviour === 'open' && target) return passOn(incoming, response, target);
    const { status, code } = typeof behaviour === 'object' ? behaviour : { status: 503, code: 'ServiceUnavailable' };
    if (behaviour === 'silent' && target) return passOn(incoming, response, target);
    incoming.resume();
    response.writeHead(status, { 'content-type': 'application/xml' }).end(refusal(code));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
  cleanup.teardown(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const s3Faults: S3FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forwardTo: (endpoint) => {
      target = new URL(endpoint);
    },
    behaviour: 'open',
    get asked() {
      return asked;
    },
  };
  return s3Faults;
}
