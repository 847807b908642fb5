/** A real S3 server in this process, on loopback, which shows what an upload leaves behind. */
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import {
  multipartUploads,
  type S3Middleware,
  type UnfinishedUpload,
  unfinishedUploads,
} from '@khumbu/embedded-run/multipart-uploads';

interface S3rver {
  readonly middleware: S3Middleware[];
  readonly httpServer: { keepAliveTimeout: number; closeAllConnections(): void };
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
type S3rverConstructor = new (options: Record<string, unknown>) => S3rver;

const S3rverServer = createRequire(import.meta.url)('@20minutes/s3rver') as S3rverConstructor;

export interface S3Server {
  readonly port: number;
  readonly endpoint: string;
  /** Keys of unfinished uploads with the names of their parts. */
  unfinished(): Promise<UnfinishedUpload[]>;
  close(): Promise<void>;
}

/** Keys `S3RVER` / `S3RVER`, one bucket. `intercept` sees every request first. */
export async function startS3Server(directory: string, bucket: string, intercept?: S3Middleware): Promise<S3Server> {
  const server = new S3rverServer({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
  });
  server.middleware.unshift(multipartUploads(directory));
  if (intercept) server.middleware.unshift(intercept);
  const { port } = await server.run();
  // By default it ends a connection five seconds after its answer was sent, which a reader who pauses longer has not read yet.
  server.httpServer.keepAliveTimeout = 120_000;
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    unfinished: () => unfinishedUploads(directory, bucket),
    close: async () => {
      const closed = server.close();
      server.httpServer.closeAllConnections();
      await closed;
    },
  };
}
