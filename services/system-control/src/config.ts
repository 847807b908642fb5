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
  ACTIONS_AT_ONCE: Type.Integer({ default: 50, minimum: 1, description: 'Stations one worker acts on at once.' }),
});
