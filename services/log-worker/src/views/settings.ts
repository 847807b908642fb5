/** Settings of live views of logs. */
import { whole } from '@khumbu/shared/runtime/config';

export const VIEW_SETTINGS = {
  LOG_VIEWS_AT_ONCE: whole(8, 1, 'Live views of logs that one worker reads at once.', 1000),
  LOG_VIEW_BYTES_PER_S: whole(
    262_144,
    1024,
    'Bytes in a second of a live view of logs: records of its window, also those that a search leaves out, and what is sent.',
  ),
  LOG_VIEW_MAX_BYTES: whole(
    33_554_432,
    65_536,
    'Bytes after which a live view of logs ends: records of its window, also those that a search leaves out, or what is sent.',
  ),
  LOG_VIEW_MAX_S: whole(1800, 1, 'Seconds after which a live view of logs ends.', 86_400),
} as const;
