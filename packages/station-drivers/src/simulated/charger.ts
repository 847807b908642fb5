/**
 * A simulated charger as a value: two firmware slots, a boot, EVerest on it and at most one effect under way. Pure.
 *
 * An effect ends by time alone: the next access to the charger applies what has ended meanwhile (`settle`). So it
 * goes on while no process lives, like a unit on a real charger. Times are milliseconds since 1970 of the host's
 * clock; the charger's own clock is that plus `clockOffsetMs`.
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Effect, EffectState, EffectStep, StationEvidence } from '../port.js';

/** `empty`: an install began to write here and did not succeed. `unbootable`: the charger falls back when it boots it. */
export type Slot =
  | { readonly kind: 'factory' }
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'image';
      readonly imageSha256: string;
      readonly sizeBytes: number;
      readonly installedBy: string;
      readonly at: number;
      readonly unbootable?: true;
    };

export type SlotName = 'A' | 'B';

/** How an effect will end; decided when it starts. `hang` never ends. */
export type PlannedEnd = 'succeed' | 'failed' | 'verification_failed' | 'fallback' | 'hang';

export interface RunningEffect {
  readonly operationId: string;
  readonly step: EffectStep;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly planned: PlannedEnd;
  /** Told by a failed effect. */
  readonly message?: string;
  /** Install alone. `byReboot`: the image takes effect at the next boot, not at once. */
  readonly install?: { readonly sha256: string; readonly sizeBytes: number; readonly byReboot: boolean };
}

export interface EndedEffect {
  readonly operationId: string;
  readonly step: EffectStep;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: 'succeeded' | 'failed' | 'verification_failed';
  readonly rebootNeeded?: boolean;
  readonly message?: string;
}

/** What the charger logged of itself. `at` is its own clock then. */
export interface ChargerEvent {
  readonly at: number;
  readonly text: string;
}

export interface Charger {
  readonly schema: 1;
  readonly createdAt: number;
  readonly bootId: string;
  readonly everestStarts: number;
  readonly slots: Readonly<Record<SlotName, Slot>>;
  readonly running: SlotName;
  /** The slot of the next boot. */
  readonly next: SlotName;
  readonly clockOffsetMs: number;
  readonly effect?: RunningEffect;
  /** Ended effects, oldest first, the last 200. */
  readonly ended: readonly EndedEffect[];
  /** The last 1000 installs that were started, oldest first; `installCount` counts them all. */
  readonly installs: readonly { readonly operationId: string; readonly sha256: string; readonly at: number }[];
  readonly installCount: number;
  /** Operations of which nothing begins any more, the last 200; absent in what older versions stored. */
  readonly retired?: readonly string[];
  /** The last 200. */
  readonly events: readonly ChargerEvent[];
}

/** How many of each the charger remembers. */
export const kept = { ended: 200, installs: 1000, retired: 200, events: 200 } as const;

/** A charger as it comes from the factory, switched on at `now`. */
export function factoryCharger(now: number): Charger {
  return {
    schema: 1,
    createdAt: now,
    bootId: randomUUID(),
    everestStarts: 1,
    slots: { A: { kind: 'factory' }, B: { kind: 'empty' } },
    running: 'A',
    next: 'A',
    clockOffsetMs: 0,
    ended: [],
    installs: [],
    installCount: 0,
    events: [{ at: now, text: 'charger: booted slot A (factory image)' }],
  };
}

/** A list with one more item, the newest `limit` of it. */
export const append = <T>(list: readonly T[], item: T, limit: number): readonly T[] => [...list, item].slice(-limit);

/** `at` is the host's time. */
export const withEvent = (charger: Charger, at: number, text: string): Charger => ({
  ...charger,
  events: append(charger.events, { at: at + charger.clockOffsetMs, text }, kept.events),
});

export const otherSlot = (slot: SlotName): SlotName => (slot === 'A' ? 'B' : 'A');

export const isRebooting = (charger: Charger): boolean => charger.effect?.step === 'reboot';
export const isRestarting = (charger: Charger): boolean => charger.effect?.step === 'restart';

export interface EffectPlan {
  readonly durationMs: number;
  readonly planned: PlannedEnd;
  readonly message?: string;
  /** Install alone. */
  readonly byReboot?: boolean;
}

const wasStarted = (charger: Charger, { operationId, step }: Effect): boolean =>
  charger.ended.some((one) => one.operationId === operationId && one.step === step) ||
  (step === 'install' && charger.installs.some((one) => one.operationId === operationId));

/**
 * Start an effect on a settled charger. Returns the same object if it was started before. Throws
 * `STATION_UNREACHABLE` while the host reboots (also for that reboot's own repeat: nothing there can tell) and
 * `STATION_BUSY` while another effect runs, `EFFECT_RETIRED` for an operation that is over.
 */
export function begin(charger: Charger, effect: Effect, plan: EffectPlan, now: number): Charger {
  assertReachable(charger);
  const { operationId, step } = effect;
  const { effect: current } = charger;
  if ((current?.operationId === operationId && current.step === step) || wasStarted(charger, effect)) return charger;
  if (charger.retired?.includes(operationId))
    throw new CodedError('EFFECT_RETIRED', 'the operation is over; nothing of it begins any more');
  if (current) throw new CodedError('STATION_BUSY', `the station is busy with ${current.step}; try again later`);
  const { byReboot = true, ...how } = plan;
  const running: RunningEffect = { operationId, step, startedAt: now, ...how };
  const begun = withEvent(charger, now, `charger: ${step} ${operationId} began`);
  if (effect.step !== 'install') return { ...begun, effect: running };
  const { sha256, sizeBytes } = effect.image;
  // An image found unfit is never written. Any other install marks its slot unbootable before it writes.
  const slots =
    plan.planned === 'verification_failed'
      ? {}
      : { slots: { ...begun.slots, [otherSlot(begun.running)]: { kind: 'empty' } as const }, next: begun.running };
  return {
    ...begun,
    ...slots,
    effect: { ...running, install: { sha256, sizeBytes, byReboot } },
    installs: append(begun.installs, { operationId, sha256, at: now }, kept.installs),
    installCount: begun.installCount + 1,
  };
}

/** Nothing of this operation begins any more. The same object if that was so already. */
export function retire(charger: Charger, operationId: string): Charger {
  const { retired = [] } = charger;
  return retired.includes(operationId) ? charger : { ...charger, retired: append(retired, operationId, kept.retired) };
}

/** The image of this operation is not the next one to boot any more. The same object if it was not. */
export function putBack(charger: Charger, operationId: string, now: number): Charger {
  const { next, running, slots } = charger;
  const slot = slots[next];
  if (next === running || slot.kind !== 'image' || slot.installedBy !== operationId) return charger;
  return withEvent({ ...charger, next: running }, now, `charger: slot ${running} is the next to boot again`);
}

/** A hung effect goes on: its time begins at `now`. */
export const unhang = (charger: Charger, effect: RunningEffect, now: number): Charger => ({
  ...charger,
  effect: { ...effect, startedAt: now, planned: 'succeed' },
});

export function withClockOffset(charger: Charger, offsetMs: number, now: number): Charger {
  const byMs = offsetMs - charger.clockOffsetMs;
  return byMs === 0 ? charger : withEvent({ ...charger, clockOffsetMs: offsetMs }, now, `clock: moved by ${byMs} ms`);
}

export function withNetwork(charger: Charger, interfaceName: string, now: number): Charger {
  const text = `network: ${JSON.stringify(interfaceName)} prepared`;
  return charger.events.at(-1)?.text === text ? charger : withEvent(charger, now, text);
}

/** Throws `STATION_UNREACHABLE` while the host reboots. */
export function assertReachable(charger: Charger): void {
  if (isRebooting(charger)) throw new CodedError('STATION_UNREACHABLE', 'the station is rebooting; try again later');
}

/** What became of an effect, seen on a settled charger at `now`. */
export function effectState(charger: Charger, operationId: string, step: EffectStep, now: number): EffectState {
  const { effect } = charger;
  if (effect?.operationId === operationId && effect.step === step) {
    if (!effect.install) return { state: 'running' };
    const part = effect.planned === 'hang' ? 0 : (now - effect.startedAt) / Math.max(1, effect.durationMs);
    return { state: 'running', progressPercent: Math.max(0, Math.min(99, Math.floor(part * 100))) };
  }
  const end = charger.ended.findLast((one) => one.operationId === operationId && one.step === step);
  if (!end) return { state: 'absent' };
  if (end.outcome !== 'succeeded') return { state: 'failed', code: end.outcome, message: end.message ?? end.outcome };
  return end.rebootNeeded === undefined
    ? { state: 'succeeded' }
    : { state: 'succeeded', rebootNeeded: end.rebootNeeded };
}

export function evidence(charger: Charger): StationEvidence {
  const slot = charger.slots[charger.running];
  return {
    bootId: charger.bootId,
    ...(slot.kind === 'image' ? { runningImageSha256: slot.imageSha256, runningInstalledBy: slot.installedBy } : {}),
    healthy: true,
    busy: charger.effect !== undefined,
  };
}
