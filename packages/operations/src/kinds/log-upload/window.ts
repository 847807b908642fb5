/**
 * From when to when logs are wanted. Pure. A bound before 2000 bounds nothing: it is how a CSMS says that it has none
 * (`0001-01-01T00:00:00Z`), and there are no older logs. A `latest` after 2100 bounds nothing either; an `oldest` there
 * leaves nothing.
 */
import type { UploadLogsRequest } from '@khumbu/shared/contract/schemas';
import { EARLIEST_DATE, LATEST_DATE } from '@khumbu/shared/runtime/dates';

export interface LogWindow {
  readonly oldest?: Date;
  readonly latest?: Date;
}

/** `undefined`: nothing can be in it. */
export function logWindow(
  request: Pick<UploadLogsRequest, 'oldest_timestamp' | 'latest_timestamp'>,
): LogWindow | undefined {
  const read = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text));
  const oldest = read(request.oldest_timestamp);
  const latest = read(request.latest_timestamp);
  const isLatest = latest !== undefined && latest >= EARLIEST_DATE && latest <= LATEST_DATE;
  const isOldest = oldest !== undefined && oldest >= EARLIEST_DATE;
  if (isOldest && oldest > (isLatest ? latest : LATEST_DATE)) return undefined;
  return { ...(isOldest ? { oldest: new Date(oldest) } : {}), ...(isLatest ? { latest: new Date(latest) } : {}) };
}
