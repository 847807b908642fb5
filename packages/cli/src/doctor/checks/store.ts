/** The object store: archives of logs, and images where they are kept there. */
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

const { ok, warning, wrong } = about('store');

function remedyOf(error: unknown, bucket: string): string {
  if (hasCode(error, 'S3_NO_SUCH_BUCKET')) return `make the bucket ${bucket} there, or correct S3_BUCKET`;
  if (hasCode(error, 'S3_DENIED')) return 'S3_ACCESS_KEY and S3_SECRET_KEY must be those of a user that may use it';
  return 'start it, or correct S3_ENDPOINT: scheme, host and port alone';
}

export async function lookAtStore({ gateway }: Place, sight: Sight): Promise<Finding[]> {
  if (!gateway) return [];
  const { S3_ENDPOINT: endpoint, S3_BUCKET: bucket, FIRMWARE_STORE: images } = gateway;
  if (endpoint === undefined)
    return images === 's3'
      ? [wrong('FIRMWARE_STORE is s3, and S3_ENDPOINT is not set', 'set it, or FIRMWARE_STORE=spool')]
      : [warning('there is no object store: logs need a location each time', 'set S3_ENDPOINT')];
  try {
    await sight.askStore(gateway);
    return [ok(`${endpoint}, bucket ${bucket}`)];
  } catch (error) {
    return [wrong(`the object store cannot be used: ${describeError(error)}`, remedyOf(error, bucket))];
  }
}
