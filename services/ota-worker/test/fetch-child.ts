/** A process that fetches, to be killed or frozen. Prints its progress in bytes, then its result or reason. */
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';

const [, , location = '', spoolDir = '', stallMs = '60000'] = process.argv;
const say = (line: string) => process.stdout.write(`${line}\n`);
const options: FetchOptions = {
  location,
  key: 'image',
  spoolDir,
  policy: createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true }),
  maxBytes: 1e9,
  stallMs: Number(stallMs),
  signal: new AbortController().signal,
  onProgress: (bytes) => say(String(bytes)),
};
try {
  say((await fetchImage(options)).kind);
} catch (error) {
  say((error as { reason?: string }).reason ?? String(error));
}
