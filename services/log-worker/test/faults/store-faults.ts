/** Faults of the depot's own store: with an archive that goes there in one call, and with one of two parts, which take longer. */
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { multipartUploads, type S3Context } from '@khumbu/embedded-run/multipart-uploads';
import { startS3 } from '@khumbu/test-support/s3';
import type { Test } from 'tap';
import { BUCKET, storeAt } from '../made-archive.js';
import { type Fault, final, type Played, passing } from './fault.js';
import type { TestStation } from './station.js';

/** Of Koa, as far as it is used. */
type Context = S3Context & { readonly req: { readonly socket: Socket } };
/** Whether it has answered; `undefined`: the server does. */
type Behaves = (context: Context) => Promise<boolean> | boolean;

const isPut = ({ method }: Context): boolean => method === 'PUT';
const partOf = ({ method, query }: Context): number => (method === 'PUT' ? Number(query.partNumber ?? 0) : 0);
const isEnd = ({ method, query }: Context): boolean => method === 'POST' && query.uploadId !== undefined;
const isBegin = ({ method, query }: Context): boolean => method === 'POST' && 'uploads' in query;

const says =
  (status: number, code: string, when: (context: Context) => boolean): Behaves =>
  (context) => {
    if (!when(context)) return false;
    context.status = status;
    context.body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as told</Message></Error>`;
    return true;
  };
const cuts =
  (when: (context: Context) => boolean): Behaves =>
  (context) => {
    if (when(context)) context.req.socket.destroy();
    return when(context);
  };

const part = (number: number) => (context: Context) => partOf(context) === number;

export interface StoreFaults {
  /** Of archives that fit into one part. */
  readonly small: readonly Fault[];
  /** Of archives of two. */
  readonly large: readonly Fault[];
}

/** `dir`: an empty folder for the store. */
export async function storeFaults(
  t: Test,
  dir: string,
  stations: Readonly<Record<keyof StoreFaults, TestStation>>,
): Promise<StoreFaults> {
  const broken = new Map<string, Behaves>();
  const listed = multipartUploads(dir);
  const middleware = async (context: Context, next: () => Promise<void>): Promise<void> => {
    const behaves = broken.get(context.path);
    if (!(await behaves?.(context))) await listed(context, next);
  };
  const server = await startS3({ dir, bucket: BUCKET, middleware });
  t.teardown(() => server.stop());
  const storeWith = (stallMs?: number, endpoint = server.endpoint) => {
    const store = storeAt(endpoint, stallMs);
    t.teardown(() => store.close());
    return store;
  };
  const objects = storeWith();
  let count = 0;
  const playedBy =
    (size: keyof StoreFaults) =>
    (behaves: Behaves, store = objects, bucket = BUCKET): Played => {
      const key = `logs/fault-${++count}.tar.gz`;
      const { openLogs: logs } = stations[size];
      broken.set(`/${BUCKET}/${key}`, behaves);
      return {
        broken: { location: `s3://${bucket}/${key}`, context: { objects: store }, logs },
        mend: () => {
          broken.clear();
          return { location: `s3://${BUCKET}/${key}`, context: { objects } };
        },
        async arrived() {
          const length = (await objects.stat(BUCKET, key))?.bytes ?? 0;
          return buffer(await objects.read({ bucket: BUCKET, key, offset: 0, length }));
        },
      };
    };
  const inOne = playedBy('small');
  const inTwo = playedBy('large');
  const s3 = 's3_unavailable';
  const small = [
    passing('the store is overloaded', s3, () => inOne(says(503, 'SlowDown', isPut))),
    passing('the store has an error of its own', s3, () => inOne(says(500, 'InternalError', isPut))),
    passing('the connection to the store is cut', s3, () => inOne(cuts(isPut))),
    passing('the store falls silent', s3, () =>
      inOne(async (context) => {
        if (isPut(context)) await new Promise((resolve) => context.req.socket.once('close', resolve));
        return isPut(context);
      }, storeWith(300)),
    ),
    passing('the clocks differ by too much', s3, () => inOne(says(403, 'RequestTimeTooSkewed', () => true))),
    passing('there is no such bucket', 's3_no_such_bucket', () => inOne(() => false, objects, 'missing')),
    passing('nothing listens at the endpoint', s3, () =>
      inOne(() => false, storeWith(undefined, 'http://127.0.0.1:1')),
    ),
    final('the keys may not write', 'PermissionDenied', 's3_denied', () => inOne(says(403, 'AccessDenied', isPut))),
    final('the bucket is in another region', 'UploadFailure', 's3_wrong_region', () =>
      inOne(says(400, 'AuthorizationHeaderMalformed', isPut)),
    ),
    final('the store does not accept the request', 'UploadFailure', 's3_bad_request', () =>
      inOne(says(400, 'InvalidArgument', isPut)),
    ),
  ];
  const large = [
    passing('the connection is cut at the last part', s3, () => inTwo(cuts(part(2)))),
    passing('the connection is cut when the parts are put together', s3, () => inTwo(cuts(isEnd))),
    passing('an error in an answer of success, when they are', s3, () => inTwo(says(200, 'InternalError', isEnd))),
    passing('a part was overwritten by another writer', s3, () => inTwo(says(400, 'InvalidPart', isEnd))),
    passing('the bucket is full at the last part', 's3_quota', () => inTwo(says(507, 'QuotaExceeded', part(2)))),
    passing('somebody has ended the upload', 's3_no_such_upload', () => inTwo(says(404, 'NoSuchUpload', part(2)))),
    final('the store knows no uploads in parts', 'NotSupportedOperation', 's3_not_supported', () =>
      inTwo(says(501, 'NotImplemented', isBegin)),
    ),
  ];
  return { small, large };
}
