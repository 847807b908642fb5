/** A process that fetches, to be killed or frozen. Prints its progress in bytes, then its result or reason. */
import { createObjectStore } from '@khumbu/object-store/object-store';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';

interface Settings {
  readonly stallMs?: number;
  readonly knownHosts?: string;
  readonly storeUrl?: string;
}

const [, , location = '', spoolDir = '', more = '{}'] = process.argv;
const { stallMs = 60_000, knownHosts, storeUrl } = JSON.parse(more) as Settings;
const say = (line: string) => process.stdout.write(`${line}\n`);
const account = { S3_REGION: 'us-east-1', S3_BUCKET: 'khumbu', S3_ACCESS_KEY: 'key', S3_SECRET_KEY: 'secret' };
const objects = storeUrl === undefined ? undefined : createObjectStore({ ...account, S3_ENDPOINT: storeUrl });
const options: FetchOptions = {
  location,
  key: 'image',
  spoolDir,
  policy: createLocationPolicy({
    allowedSchemes: ['http', 's3', 'ftp', 'sftp'],
    allowedHosts: [],
    allowLoopback: true,
  }),
  maxBytes: 1e9,
  stallMs,
  knownHosts,
  objects,
  signal: new AbortController().signal,
  onProgress: (bytes) => say(String(bytes)),
};
try {
  say((await fetchImage(options)).kind);
} catch (error) {
  say((error as { reason?: string }).reason ?? String(error));
} finally {
  objects?.close();
}
