/** Settings of live views of logs. */
import { whole } from '@khumbu/shared/runtime/config';

export const VIEW_SETTINGS = {
  LOG_VIEWS_AT_ONCE: whole(8, 1, 'Live views of logs that one worker reads at once.', 1000),
  LOG_VIEW_BYTES_PER_S: whole(
    262_144,
    1024,
    'Bytes of a live view of logs that are read from the station, and sent, in a second; the station waits meanwhile.',
  ),
  LOG_VIEW_MAX_BYTES: whole(
    33_554_432,
    65_536,
    'Bytes after which a live view of logs ends, read from the station or sent.',
  ),
  LOG_VIEW_MAX_S: whole(1800, 1, 'Seconds after which a live view of logs ends.', 86_400),
} as const;
