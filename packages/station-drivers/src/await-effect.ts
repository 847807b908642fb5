import { setTimeout as pause } from 'node:timers/promises';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import type { EffectState, EffectStep, StationDriver } from './port.js';

const FIRST_LOOK_MS = 20;
const LONGEST_PAUSE_MS = 500;

export type EndedEffect = Extract<EffectState, { state: 'succeeded' | 'failed' }>;

/**
 * For how long a station is looked for in silence. One that installs is there; one that restarts is away for a while, and that
 * is what it was asked for.
 */
const AWAY_MS: Readonly<Record<EffectStep, number>> = { install: 15_000, restart: 15_000, reboot: 120_000 };

export interface AwaitOptions {
  /** Called with the percentage that the station reports. */
  readonly onPercent?: ((percent: number) => void) | undefined;
  /** For how long the station may be away; default by the step. Milliseconds. */
  readonly awayMs?: number;
}

/**
 * Look until an effect that was started has ended. A station that cannot be reached (it may be booting) is looked for
 * again for a while. Rejects with `STATION_UNREACHABLE` after that: the effect may go on, so look again later; with
 * `EFFECT_LOST` when the station does not know the effect.
 */
export async function awaitEffect(
  driver: StationDriver,
  operationId: string,
  step: EffectStep,
  signal: AbortSignal,
  { onPercent, awayMs = AWAY_MS[step] }: AwaitOptions = {},
): Promise<EndedEffect> {
  let seenAt = performance.now();
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.5, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      const effect = await driver.observeEffect(operationId, step, signal);
      seenAt = performance.now();
      if (effect.state === 'succeeded' || effect.state === 'failed') return effect;
      if (effect.state === 'running' && effect.progressPercent !== undefined) onPercent?.(effect.progressPercent);
      if (effect.state === 'absent') throw new CodedError('EFFECT_LOST', `the station knows nothing of the ${step}`);
    } catch (error) {
      if (!hasCode(error, 'STATION_UNREACHABLE') || performance.now() - seenAt > awayMs) throw error;
    }
    await pause(wait, undefined, { signal });
  }
}
