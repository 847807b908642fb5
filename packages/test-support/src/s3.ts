/**
 * An S3 server in this process. It checks signatures and keeps objects as files below `dir`. It cannot list
 * unfinished uploads unless `middleware` does, and lists at most 1000 objects unless node runs with `--openssl-legacy-provider`.
 */
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import S3rver from '@20minutes/s3rver';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';

export async function startS3(options: {
  readonly dir: string;
  readonly bucket?: string;
  readonly port?: number;
  /** Of Koa: sees each request before the server does. */
  readonly middleware?: (context: never, next: () => Promise<void>) => Promise<void>;
}) {
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
  if (options.middleware) app.middleware.unshift(options.middleware);
  const handle = app.callback();
  const requests: string[] = [];
  let failure: { status: number; matches: (request: string) => boolean; code: string } | undefined;

  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    requests.push(line);
    if (!failure?.matches(line)) return handle(request, response);
    request.resume();
    response.writeHead(failure.status, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${failure.code}</Code><Message>scripted</Message></Error>`);
  });
  const port = await listen(server, options.port ?? 0);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    region: 'us-east-1',
    accessKey: 'S3RVER',
    secretKey: 'S3RVER',
    /** It exists. */
    bucket,
    /** Every request so far, as `PUT /bucket/key?query`. */
    requests: requests as readonly string[],
    /** From now on answer requests that `matches` takes with this status and code of S3 instead; `undefined` ends it. */
    failWith(
      status: number | undefined,
      matches: (request: string) => boolean = () => true,
      code = 'InternalError',
    ): void {
      failure = status === undefined ? undefined : { status, matches, code };
    },
    /** Close, open connections too. Safe to repeat. */
    stop: () => closeNow(server),
    /** Listen again on the same port with the same objects. */
    async restart(): Promise<void> {
      await closeNow(server);
      await listen(server, port);
    },
  };
}
export type S3Server = Awaited<ReturnType<typeof startS3>>;
