/** How effects on a simulated charger end: by time alone. Pure. */
import { createHash } from 'node:crypto';
import {
  append,
  type Charger,
  type EndedEffect,
  kept,
  otherSlot,
  type RunningEffect,
  type Slot,
  withEvent,
} from './charger.js';

/** When the effect under way ends by itself, if it does. */
export const endOf = (effect: RunningEffect): number =>
  effect.planned === 'hang' ? Number.POSITIVE_INFINITY : effect.startedAt + effect.durationMs;

/**
 * The charger at `now`: an effect whose time is over has ended. A clock that jumped forward ends it early; one that
 * jumped back behind its start begins its time anew, so no effect lasts longer than twice its duration. Returns the
 * same object if nothing changed; a changed one must be stored, else a later jump would undo what was seen.
 */
export function settle(charger: Charger, now: number): Charger {
  const { effect } = charger;
  if (!effect) return charger;
  if (now < effect.startedAt) return { ...charger, effect: { ...effect, startedAt: now } };
  return now < endOf(effect) ? charger : ended(charger, effect);
}

function ended(charger: Charger, effect: RunningEffect): Charger {
  const { effect: _over, ...rest } = charger;
  const at = endOf(effect);
  const record: EndedEffect = {
    operationId: effect.operationId,
    step: effect.step,
    startedAt: effect.startedAt,
    endedAt: at,
    outcome: effect.planned === 'failed' || effect.planned === 'verification_failed' ? effect.planned : 'succeeded',
    ...(effect.install ? { rebootNeeded: effect.install.byReboot } : {}),
    ...(effect.message === undefined ? {} : { message: effect.message }),
  };
  const after: Charger = { ...rest, ended: append(charger.ended, record, kept.ended) };
  switch (effect.step) {
    case 'install':
      return installed(after, effect, at);
    case 'reboot':
      return booted(after, effect.operationId, at);
    case 'restart':
      return withEvent({ ...after, everestStarts: after.everestStarts + 1 }, at, 'everest: started');
  }
}

function installed(charger: Charger, effect: RunningEffect, at: number): Charger {
  const { install, planned, operationId } = effect;
  if (!install || planned === 'failed' || planned === 'verification_failed')
    return withEvent(charger, at, `installer: ${operationId} failed: ${effect.message ?? planned}`);
  const target = otherSlot(charger.running);
  const slot: Slot = {
    kind: 'image',
    imageSha256: install.sha256,
    sizeBytes: install.sizeBytes,
    installedBy: operationId,
    at,
    ...(planned === 'fallback' ? { unbootable: true } : {}),
  };
  const written = withEvent(
    { ...charger, slots: { ...charger.slots, [target]: slot }, next: target },
    at,
    `installer: ${operationId} wrote slot ${target}, sha256 ${install.sha256}`,
  );
  return install.byReboot ? written : switched(written, at);
}

/** Make the next slot the running one, or stay with the running one if the next cannot boot. */
function switched(charger: Charger, at: number): Charger {
  const { slots, running, next } = charger;
  const slot = slots[next];
  if (slot.kind === 'empty' || (slot.kind === 'image' && slot.unbootable)) {
    const back = { ...charger, next: running };
    return withEvent(back, at, `charger: slot ${next} did not come up, fell back to slot ${running}`);
  }
  const what = slot.kind === 'image' ? `image ${slot.imageSha256}` : 'factory image';
  return withEvent({ ...charger, running: next }, at, `charger: booted slot ${next} (${what})`);
}

function booted(charger: Charger, operationId: string, at: number): Charger {
  // Derived, not random: any process that settles this reboot computes the same boot.
  const hex = createHash('sha256').update(`${charger.bootId} ${operationId}`).digest('hex');
  const bootId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
  return switched({ ...charger, bootId, everestStarts: charger.everestStarts + 1 }, at);
}
