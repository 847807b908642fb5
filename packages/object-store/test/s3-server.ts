/**
 * A real S3 server in this process, on loopback. s3rver can neither end nor list multipart uploads; both are added here
 * over its own files, so that tests can see what an upload leaves behind.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

interface Context {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  status: number;
  body: unknown;
}
type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>;
interface S3rver {
  readonly middleware: Middleware[];
  readonly httpServer: { closeAllConnections(): void };
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
type S3rverConstructor = new (options: Record<string, unknown>) => S3rver;

const S3rverServer = createRequire(import.meta.url)('@20minutes/s3rver') as S3rverConstructor;

export interface S3Server {
  readonly port: number;
  readonly endpoint: string;
  /** Keys of unfinished uploads with the names of their parts. */
  unfinished(): Promise<{ id: string; key: string; parts: string[] }[]>;
  close(): Promise<void>;
}

const listing = (bucket: string, uploads: { id: string; key: string }[]): string =>
  `<?xml version="1.0"?><ListMultipartUploadsResult><Bucket>${bucket}</Bucket><IsTruncated>false</IsTruncated>${uploads
    .map(({ id, key }) => {
      const owner = '<Initiator><ID>i</ID></Initiator><Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>';
      return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId>${owner}<Initiated>2025-01-01T00:00:00.000Z</Initiated></Upload>`;
    })
    .join('')}</ListMultipartUploadsResult>`;

/** Keys `S3RVER` / `S3RVER`, one bucket. `intercept` sees every request first. */
export async function startS3Server(directory: string, bucket: string, intercept?: Middleware): Promise<S3Server> {
  const server = new S3rverServer({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
  });
  const uploadsDir = join(directory, bucket, '._S3rver_uploads');
  const unfinished: S3Server['unfinished'] = async () => {
    const ids = await readdir(uploadsDir).catch(() => []);
    return Promise.all(
      ids.map(async (id) => ({
        id,
        key: await readFile(join(uploadsDir, id, 'key'), 'utf8'),
        parts: (await readdir(join(uploadsDir, id))).filter((name) => /^\d+$/.test(name)),
      })),
    );
  };
  server.middleware.unshift(async (context, next) => {
    if (context.method === 'DELETE' && context.query.uploadId !== undefined) {
      await rm(join(uploadsDir, context.query.uploadId), { recursive: true, force: true });
      context.status = 204;
    } else if (context.method === 'GET' && 'uploads' in context.query) {
      context.status = 200;
      context.body = listing(bucket, await unfinished());
    } else await next();
  });
  if (intercept) server.middleware.unshift(intercept);
  const { port } = await server.run();
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    unfinished,
    close: async () => {
      const closed = server.close();
      server.httpServer.closeAllConnections();
      await closed;
    },
  };
}
