/**
 * An S3 server in this process. It checks signatures and keeps objects as files below `dir`. It cannot list
 * unfinished uploads, and lists at most 1000 objects unless node runs with `--openssl-legacy-provider`.
 */
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import S3rver from '@20minutes/s3rver';

export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** It exists. */
  readonly bucket: string;
  /** Every request so far, as `PUT /bucket/key?query`. */
  readonly requests: readonly string[];
  /** From now on answer requests that `matches` takes with this status instead; `undefined` ends it. */
  failWith(status: number | undefined, matches?: (request: string) => boolean): void;
  /** Close, open connections too. Safe to repeat. */
  stop(): Promise<void>;
  /** Listen again on the same port with the same objects. */
  restart(): Promise<void>;
}

export async function startS3(options: {
  readonly dir: string;
  readonly bucket?: string;
  readonly port?: number;
}): Promise<S3Server> {
  await mkdir(options.dir, { recursive: true });
  const bucket = options.bucket ?? 'khumbu';
  const app = new S3rver({
    directory: options.dir,
    silent: true,
    vhostBuckets: false,
    configureBuckets: [{ name: bucket }],
  });
  // A client that goes away in the middle of a request is reported here; that is part of the tests.
  app.on('error', () => {});
  await app.configureBuckets();
  const handle = app.callback();
  const requests: string[] = [];
  let failure: { status: number; matches: (request: string) => boolean } | undefined;

  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    requests.push(line);
    if (!failure?.matches(line)) return handle(request, response);
    request.resume();
    response.writeHead(failure.status, { 'content-type': 'application/xml' });
    response.end('<?xml version="1.0"?><Error><Code>InternalError</Code><Message>scripted</Message></Error>');
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen(options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });

  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    region: 'us-east-1',
    accessKey: 'S3RVER',
    secretKey: 'S3RVER',
    bucket,
    requests,
    failWith(status, matches = () => true) {
      failure = status === undefined ? undefined : { status, matches };
    },
    stop,
    async restart() {
      await stop();
      await listen(port);
    },
  };
}
