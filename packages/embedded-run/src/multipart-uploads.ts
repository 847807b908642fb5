/**
 * Ending and listing unfinished multipart uploads, which s3rver does not know: without them the parts of every aborted
 * upload would stay in the data folder, and no upload could be gone on with. Works on s3rver's own files; S3 API:
 * AbortMultipartUpload, ListMultipartUploads, ListParts.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifExists } from '@khumbu/shared/runtime/errors';

/** The part of a Koa context that is used here. */
export interface S3Context {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  status: number;
  body: unknown;
}
export type S3Middleware = (context: S3Context, next: () => Promise<void>) => Promise<void>;

export interface UnfinishedUpload {
  readonly id: string;
  readonly key: string;
  readonly initiated: Date;
  /** Numbers of the parts that are there. */
  readonly parts: readonly string[];
}

const uploadsDir = (directory: string, bucket: string): string => join(directory, bucket, '._S3rver_uploads');
const bucketOf = ({ path }: S3Context): string => decodeURIComponent(path.split('/')[1] ?? '');
const isName = (name: string): boolean => /^[A-Za-z0-9._-]+$/.test(name) && !name.startsWith('.');

/** What was begun in a bucket and neither completed nor aborted. */
export async function unfinishedUploads(directory: string, bucket: string): Promise<UnfinishedUpload[]> {
  const folder = uploadsDir(directory, bucket);
  const ids = (await ifExists(readdir(folder))) ?? [];
  // One that is just being removed is not there any more.
  const uploads = await Promise.all(ids.map((id) => ifExists(readUpload(join(folder, id), id))));
  return uploads.filter((upload) => upload !== undefined);
}

async function readUpload(path: string, id: string): Promise<UnfinishedUpload> {
  const key = await readFile(join(path, 'key'), 'utf8');
  // It is written once, when the upload begins.
  const { mtime: initiated } = await stat(join(path, 'key'));
  return { id, key, initiated, parts: (await readdir(path)).filter((name) => /^\d+$/.test(name)) };
}

const escapeXml = (text: string): string =>
  text.replace(/[<>&'"]/g, (character) => `&#${character.codePointAt(0) ?? 0};`);

function listing(bucket: string, uploads: readonly UnfinishedUpload[]): string {
  const owner = '<Initiator><ID>i</ID></Initiator><Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>';
  const entries = uploads.map(
    ({ id, key, initiated }) =>
      `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>${owner}<Initiated>${initiated.toISOString()}</Initiated></Upload>`,
  );
  return `<?xml version="1.0"?><ListMultipartUploadsResult><Bucket>${bucket}</Bucket><IsTruncated>false</IsTruncated>${entries.join('')}</ListMultipartUploadsResult>`;
}

/** Whole ones: the hash is written last. `undefined`: there is no such upload. */
async function partListing(directory: string, bucket: string, uploadId: string): Promise<string | undefined> {
  const folder = join(uploadsDir(directory, bucket), uploadId);
  const names = await ifExists(readdir(folder));
  if (names === undefined) return undefined;
  const whole = names.filter((name) => /^\d+$/.test(name) && names.includes(`${name}.md5`));
  const entries = await Promise.all(
    whole
      .sort((a, b) => Number(a) - Number(b))
      .map(async (name) => {
        const { size } = await stat(join(folder, name));
        const etag = await readFile(join(folder, `${name}.md5`), 'utf8');
        return `<Part><PartNumber>${name}</PartNumber><ETag>&quot;${etag}&quot;</ETag><Size>${size}</Size></Part>`;
      }),
  );
  return `<?xml version="1.0"?><ListPartsResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListPartsResult>`;
}

const NO_SUCH_UPLOAD = '<?xml version="1.0"?><Error><Code>NoSuchUpload</Code><Message>it is over</Message></Error>';

/** Serve the three calls, pass everything else on. */
export function multipartUploads(directory: string): S3Middleware {
  /** Parts on their way, by upload: one that is written after the upload was ended would stay for ever. */
  const onTheirWay = new Map<string, Set<Promise<void>>>();

  const pass = async (uploadId: string, next: () => Promise<void>): Promise<void> => {
    const parts = onTheirWay.get(uploadId) ?? new Set<Promise<void>>();
    onTheirWay.set(uploadId, parts);
    const part = next();
    parts.add(part);
    try {
      await part;
    } finally {
      parts.delete(part);
      if (parts.size === 0) onTheirWay.delete(uploadId);
    }
  };

  return async (context, next) => {
    const bucket = bucketOf(context);
    const { uploadId } = context.query;
    if (context.method === 'DELETE' && uploadId !== undefined && isName(bucket) && isName(uploadId)) {
      await Promise.allSettled(Array.from(onTheirWay.get(uploadId) ?? new Set<Promise<void>>()));
      await rm(join(uploadsDir(directory, bucket), uploadId), { recursive: true, force: true });
      context.status = 204;
    } else if (context.method === 'GET' && 'uploads' in context.query && isName(bucket)) {
      const { prefix = '' } = context.query;
      const uploads = await unfinishedUploads(directory, bucket);
      context.status = 200;
      context.body = listing(
        bucket,
        uploads.filter(({ key }) => key.startsWith(prefix)),
      );
    } else if (context.method === 'GET' && uploadId !== undefined && isName(bucket) && isName(uploadId)) {
      const listed = await partListing(directory, bucket, uploadId);
      context.status = listed === undefined ? 404 : 200;
      context.body = listed ?? NO_SUCH_UPLOAD;
    } else if (context.method === 'PUT' && uploadId !== undefined) await pass(uploadId, next);
    else await next();
  };
}
