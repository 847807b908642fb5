/** Under which an image that was brought in for a location is found again. Pure. */
import { createHash } from 'node:crypto';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { parseLocation } from '@khumbu/shared/locations/location';

/** User, password, fragment and ignored parameters do not count; nor does the spelling of the host. */
export function broughtKey(location: string, ignored: IgnoredParameters): string {
  const parsed = parseLocation(location);
  let identity = location.split('#', 1)[0] ?? '';
  if (parsed.ok && 'url' in parsed.location) {
    const { url, scheme, host, port } = parsed.location;
    for (const name of ignored(location)) url.searchParams.delete(name);
    identity = `${scheme}://${host}:${port}${url.pathname}${url.search}`;
  }
  return createHash('sha256').update(identity).digest('hex');
}
