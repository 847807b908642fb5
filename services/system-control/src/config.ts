/** The settings of system-control. */
import { COMMON_SETTINGS, WORKER_SETTINGS } from '@khumbu/shared/runtime/config';
import { Type } from 'typebox';

export const SystemControlSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  CLOCK_TOLERANCE_MS: Type.Integer({
    default: 1000,
    minimum: 0,
    description: 'Milliseconds a station’s clock may be off before it is set.',
  }),
  OBSERVE_INTERVAL_S: Type.Integer({
    default: 21_600,
    minimum: 0,
    maximum: 31_536_000,
    description:
      'Seconds between two looks at what a real station at rest runs, some ten kilobytes over SSH each; 0: only after boots and installs.',
  }),
  ACTIONS_AT_ONCE: Type.Integer({ default: 50, minimum: 1, description: 'Stations one worker acts on at once.' }),
});
