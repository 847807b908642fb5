/** The settings of system-control. */
import { COMMON_SETTINGS, WORKER_SETTINGS, whole } from '@khumbu/shared/runtime/config';
import { Type } from 'typebox';

export const SystemControlSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  CLOCK_TOLERANCE_MS: whole(1000, 0, 'Milliseconds a station’s clock may be off before it is set.'),
  OBSERVE_INTERVAL_S: whole(
    21_600,
    0,
    'Seconds between two looks at what a real station at rest runs, some ten kilobytes over SSH each; 0: only after boots and installs.',
    31_536_000,
  ),
  ACTIONS_AT_ONCE: whole(50, 1, 'Stations one worker acts on at once.'),
});
