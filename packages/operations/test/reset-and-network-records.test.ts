import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyNetworkEvent, CONFIGURE_NETWORK_TRANSITIONS } from '@khumbu/operations/kinds/configure-network/record';
import { applyResetEvent, RESET_TRANSITIONS, type ResetEvent } from '@khumbu/operations/kinds/reset/record';
import t from 'tap';
import { networkRecord, resetRecord } from './make-records.js';
import { NOW } from './update-walk.js';

void t.test('resets and networks', async (t) => {
  const resets: [readonly ResetEvent[], string, object, true?][] = [
    [['begun', 'performed', 'restartSeen'], 'Restarted', { ok: true }],
    [['begun', 'restartSeen'], 'Restarted', { ok: true }],
    [['begun', 'performed', 'outOfTime'], 'Restarted', { ok: true, reason: 'everest_not_heard' }],
    [['begun', 'performed', 'superseded'], 'Restarted', { ok: true }],
    [['superseded'], 'Superseded', { ok: false, reason: 'superseded' }],
    [['outOfTime'], 'Failed', { ok: false, reason: 'deadline' }],
    [['begun', 'outOfTime'], 'Failed', { ok: false, reason: 'deadline' }, true],
    [['begun', 'failed'], 'Failed', { ok: false, reason: 'failed' }],
  ];
  for (const [events, state, outcome, slotHeld] of resets) {
    let record = resetRecord({});
    for (const event of events) {
      record = applyResetEvent(record, event, { now: momentOf(NOW) });
      t.equal(
        record.deadlineAt !== undefined,
        record.endedAt === undefined,
        `${event}: a deadline as long as it is open`,
      );
    }
    t.match(record, { state, outcome, endedAt: NOW }, events.join(' '));
    t.equal(record.slotHeld, slotHeld, `${events.join(' ')}: the station may still be reset`);
  }
  for (const [state, row] of Object.entries(RESET_TRANSITIONS))
    if (Object.keys(row).length > 0) t.ok('outOfTime' in row, `${state} may not last for ever`);
  t.throws(
    () =>
      applyResetEvent(resetRecord({ state: 'Resetting' }), 'superseded', {
        now: momentOf(NOW),
      }),
    TypeError,
  );

  const secrets = {
    apn: { apn: 'internet', apn_password: 'hunter2' },
    vpn: { server: 's', type: 'Other', key: 'hunter2' },
  } as const;
  const networks = [
    [['confirmed', 'ready'], 'Ready', { request_id: 5, status: 'Ready', interface_address: 'wwan0' }],
    [['confirmed', 'failed'], 'Failed', { request_id: 5, status: 'Failed' }],
    [['confirmed', 'outOfTime'], 'Failed', { request_id: 5, status: 'Failed' }],
    [['confirmed', 'superseded'], 'Superseded', undefined],
    [['withdrawn'], 'Withdrawn', undefined],
    [['outOfTime'], 'Withdrawn', undefined],
    [['superseded'], 'Withdrawn', undefined],
  ] as const;
  for (const origin of ['everest', 'rest'] as const) {
    for (const [events, state, payload] of networks) {
      let record = networkRecord({ origin, request: { request_id: 5, interface: 'Any', ...secrets } });
      const payloads: unknown[] = [];
      for (const event of events) {
        const applied = applyNetworkEvent(record, event, { now: momentOf(NOW) }, { interfaceAddress: 'wwan0' });
        record = applied.record;
        payloads.push(...applied.statuses.map((entry) => entry.payload));
      }
      t.equal(record.state, state, events.join(' '));
      t.same(payloads, payload && origin === 'everest' ? [payload] : [], events.join(' '));
      t.notMatch(JSON.stringify(record), /hunter2|internet/, 'no secret is kept');
    }
  }
  for (const [state, row] of Object.entries(CONFIGURE_NETWORK_TRANSITIONS))
    if (Object.keys(row).length > 0) t.ok('outOfTime' in row, `${state} may not last for ever`);
});
