import { setTimeout as pause } from 'node:timers/promises';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import type { EffectState, EffectStep, StationDriver } from './port.js';

const FIRST_LOOK_MS = 20;
const LONGEST_PAUSE_MS = 500;

export type EndedEffect = Extract<EffectState, { state: 'succeeded' | 'failed' }>;

/**
 * Look until an effect that was started has ended. A station that cannot be reached (it may be booting) is looked for
 * again; the record's deadline ends the waiting. `onPercent` is called with the percentage that the station reports. Rejects
 * with `EFFECT_LOST` when the station does not know the effect.
 */
export async function awaitEffect(
  driver: StationDriver,
  operationId: string,
  step: EffectStep,
  signal: AbortSignal,
  onPercent?: (percent: number) => void,
): Promise<EndedEffect> {
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.5, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      const effect = await driver.observeEffect(operationId, step, signal);
      if (effect.state === 'succeeded' || effect.state === 'failed') return effect;
      if (effect.state === 'running' && effect.progressPercent !== undefined) onPercent?.(effect.progressPercent);
      if (effect.state === 'absent') throw new CodedError('EFFECT_LOST', `the station knows nothing of the ${step}`);
    } catch (error) {
      if (!hasCode(error, 'STATION_UNREACHABLE')) throw error;
    }
    await pause(wait, undefined, { signal });
  }
}
