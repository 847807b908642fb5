import { FIRMWARE_UPDATE_STATES } from '@khumbu/operations/kinds/firmware-update/machine';
import type { ResetState } from '@khumbu/operations/kinds/reset/record';
import t from 'tap';
import { decideReset, decideResetAllowed } from '../src/decide-reset.js';
import { profile, resetRecord, update } from './fixtures.js';

void t.test('resets', async (t) => {
  t.match(decideResetAllowed({ profile: undefined, update: undefined }), {
    allowed: false,
    reason: 'station_not_configured',
  });
  for (const state of FIRMWARE_UPDATE_STATES) {
    const allowed = state !== 'Installing' && state !== 'InstallRebooting';
    t.equal(decideResetAllowed({ profile: profile(), update: update(state) }).allowed, allowed, state);
  }
  const held = update('InstallationFailed', { endedAt: 2000, slotHeld: true });
  t.match(decideResetAllowed({ profile: profile(), update: held }), { allowed: false, reason: 'installing' });
  t.same(decideResetAllowed({ profile: profile(), update: undefined }), { allowed: true });

  const rows: [ResetState | undefined, object, string][] = [
    [undefined, {}, 'accept'],
    ['Accepted', {}, 'repeat'],
    ['Accepted', { scheduled: false }, 'repeat'],
    ['Accepted', { type: 'Hard' }, 'accept'],
    ['Accepted', { scheduled: true }, 'accept'],
    ['Resetting', {}, 'repeat'],
    ['Resetting', { type: 'Hard' }, 'repeat'],
    ['Restarting', {}, 'repeat'],
    ['Restarting', { type: 'Hard' }, 'accept'],
    ['Restarted', {}, 'accept'],
    ['Failed', {}, 'accept'],
    ['Superseded', {}, 'accept'],
  ];
  for (const [state, request, kind] of rows) {
    const final = state === 'Restarted' || state === 'Failed' || state === 'Superseded';
    const current = state && resetRecord(state, final ? { endedAt: 2000 } : {});
    const given = { profile: profile(), current };
    const decision = decideReset({ type: 'Soft', ...request }, given);
    t.equal(decision.kind, kind, `${state} ${JSON.stringify(request)}`);
    if (decision.kind === 'accept' && current && !final) t.equal(decision.replaces, current);
  }
  t.match(decideReset({ type: 'Soft' }, { profile: undefined, current: undefined }), {
    kind: 'refuse',
  });
});
