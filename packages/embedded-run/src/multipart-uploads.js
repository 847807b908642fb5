/**
 * Ending and listing unfinished multipart uploads, which s3rver does not know: without them the parts of every aborted
 * upload would stay in the data folder. Works on s3rver's own files; S3 API: AbortMultipartUpload, ListMultipartUploads.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';

const uploadsDir = (directory, bucket) => join(directory, bucket, '._S3rver_uploads');
const bucketOf = ({ path }) => decodeURIComponent(path.split('/')[1] ?? '');
const isName = (name) => /^[A-Za-z0-9._-]+$/.test(name) && !name.startsWith('.');
/** What was begun in a bucket and neither completed nor aborted. */
export async function unfinishedUploads(directory, bucket) {
  const folder = uploadsDir(directory, bucket);
  let ids;
  try {
    ids = await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return Promise.all(
    ids.map(async (id) => ({
      id,
      key: await readFile(join(folder, id, 'key'), 'utf8'),
      parts: (await readdir(join(folder, id))).filter((name) => /^\d+$/.test(name)),
    })),
  );
}
const escapeXml = (text) => text.replace(/[<>&'"]/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
function listing(bucket, uploads) {
  const owner = '<Initiator><ID>i</ID></Initiator><Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>';
  const entries = uploads.map(
    ({ id, key }) =>
      `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>${owner}<Initiated>2025-01-01T00:00:00.000Z</Initiated></Upload>`,
  );
  return `<?xml version="1.0"?><ListMultipartUploadsResult><Bucket>${bucket}</Bucket><IsTruncated>false</IsTruncated>${entries.join('')}</ListMultipartUploadsResult>`;
}
/** Serve the two calls, pass everything else on. */
export const multipartUploads = (directory) => async (context, next) => {
  const bucket = bucketOf(context);
  const { uploadId } = context.query;
  if (context.method === 'DELETE' && uploadId !== undefined && isName(bucket) && isName(uploadId)) {
    await rm(join(uploadsDir(directory, bucket), uploadId), { recursive: true, force: true });
    context.status = 204;
  } else if (context.method === 'GET' && 'uploads' in context.query && isName(bucket)) {
    context.status = 200;
    context.body = listing(bucket, await unfinishedUploads(directory, bucket));
  } else await next();
};
//# sourceMappingURL=multipart-uploads.js.map
