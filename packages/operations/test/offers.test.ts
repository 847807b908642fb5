import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { confirmOffer, failOffer, offer, withdrawOffer } from '@khumbu/operations/kinds/offer';
import type { Store } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import { readStationState } from '@khumbu/operations/stations/station-state';
import t, { type Test } from 'tap';
import { logRecord, networkRecord, updateRecord } from './make-records.js';
import { AT, fresh, NOW } from './store-stage.js';

void t.test('offers', async (t) => {
  const context = { now: AT, dialect: 'ocpp1.6', bootEpoch: 1 } as const;
  const step = { ...context };
  const slotOf = async (store: Store) => readStationState(await store.station('cp1')).slot('firmware_update');
  const said = async (store: Store) =>
    (await store.outboxEntries('cp1')).map(({ operationId, payload }) => [
      operationId,
      (payload as { firmware_update_status: string }).firmware_update_status,
    ]);
  /** An update whose trigger was told, and the offer of another in its place. */
  const twoUpdates = async (t: Test, later: Partial<FirmwareUpdateRecord> = {}) => {
    const { store } = fresh();
    let old = updateRecord({ id: 'old', answerKey: 'old' });
    for (const event of ['confirmed', 'fetchJoined', 'fetched'] as const)
      old = applyUpdateEvent(old, event, step).record;
    await store.commit(
      store
        .transaction()
        .put(old)
        .setStation('cp1', { [slotField('firmware_update')]: 'old' }),
    );
    const next = updateRecord({ id: 'next', supersedes: 'old', answerKey: 'next', ...later });
    const held = (await store.load('old')) as FirmwareUpdateRecord;
    t.ok(
      await store.commit(
        offer(store.transaction(), next, held).answer('cp1', 'next', {
          reply: 'AcceptedCanceled',
          operationId: 'next',
        }),
      ),
    );
    const load = async (id: string) => (await store.load(id)) as FirmwareUpdateRecord;
    t.match(await load('old'), { heldFor: 'next', state: 'Downloaded' }, 'the old one rests');
    t.equal(await slotOf(store), 'next');
    t.same(await said(store), [], 'nothing is told of an offer');
    return { store, load };
  };

  await t.test('confirmed: the old one is closed before the new one is heard of', async (t) => {
    const later = { request: { location: 'x', request_id: 7, retrieve_timestamp: new Date(NOW + 1000).toISOString() } };
    const { store, load } = await twoUpdates(t, later);
    const confirmed = confirmOffer(store.transaction(), await load('next'), await load('old'), context);
    t.ok(await store.commit(confirmed.transaction));
    t.match(await load('old'), { state: 'Superseded', outcome: { reason: 'superseded' }, heldFor: undefined });
    t.match(await load('next'), { state: 'DownloadScheduled', version: 2 });
    t.same(await said(store), [
      ['old', 'InstallationFailed'],
      ['next', 'DownloadScheduled'],
    ]);
    t.same(confirmed.record, { ...(await load('next')), version: 1 });
  });

  await t.test('confirmed when the old one has ended by itself meanwhile', async (t) => {
    const { store, load } = await twoUpdates(t);
    const over = applyUpdateEvent(await load('old'), 'outOfTime', step);
    t.ok(await store.commit(store.transaction().put(over.record)));
    t.ok(
      await store.commit(confirmOffer(store.transaction(), await load('next'), await load('old'), context).transaction),
    );
    t.match(await load('old'), { state: 'InstallationFailed' });
    t.match(await load('next'), { state: 'Accepted' });
    t.same(await said(store), []);
  });

  await t.test('withdrawn: as if nothing had been', async (t) => {
    const { store, load } = await twoUpdates(t);
    const { transaction, resumed } = withdrawOffer(
      store.transaction(),
      await load('next'),
      await load('old'),
      'next',
      context,
    );
    t.ok(await store.commit(transaction));
    t.match(await load('next'), { state: 'Withdrawn', outcome: { ok: false, reason: 'withdrawn' } });
    t.match(await load('old'), { state: 'Downloaded', heldFor: undefined });
    t.equal(resumed?.id, 'old');
    t.equal(await slotOf(store), 'old');
    t.same((await store.stationAndAnswer('cp1', 'next')).answer, { reply: 'Rejected' }, 'asked again, it is rejected');
    t.same(await said(store), []);
  });

  await t.test('failed: both end, in order, and the answer stays', async (t) => {
    const { store, load } = await twoUpdates(t);
    t.ok(await store.commit(failOffer(store.transaction(), await load('next'), await load('old'), context)));
    t.match(await load('old'), { state: 'Superseded', heldFor: undefined });
    t.match(await load('next'), { state: 'DownloadFailed', outcome: { ok: false, reason: 'answer_unconfirmed' } });
    t.same(await said(store), [
      ['old', 'InstallationFailed'],
      ['next', 'DownloadFailed'],
    ]);
    t.match((await store.stationAndAnswer('cp1', 'next')).answer, { reply: 'AcceptedCanceled' });
    t.same(await store.openIds(), []);
  });

  await t.test('withdrawn without anything before it', async (t) => {
    for (const [record, reply] of [
      [logRecord({ answerKey: 'k' }), { upload_logs_status: 'Rejected' }],
      [networkRecord({ answerKey: 'k' }), { status: 'NotSupported' }],
    ] as const) {
      const { store } = fresh();
      t.ok(await store.commit(offer(store.transaction(), record, undefined)));
      const state = readStationState(await store.station('cp1'));
      t.equal(state.slot(record.kind), record.id);
      const back = withdrawOffer(store.transaction(), { ...record, version: 1 }, undefined, record.id, context);
      t.ok(await store.commit(back.transaction));
      t.same(await store.station('cp1'), {});
      t.same((await store.stationAndAnswer('cp1', 'k')).answer, { reply });
      t.same(await store.openIds(), []);
    }
  });

  await t.test('only one of confirm and withdraw takes place', async (t) => {
    const { store, load } = await twoUpdates(t);
    const both = [
      confirmOffer(store.transaction(), await load('next'), await load('old'), context).transaction,
      withdrawOffer(store.transaction(), await load('next'), await load('old'), 'next', context).transaction,
    ];
    const committed = await Promise.all(both.map((transaction) => store.commit(transaction)));
    t.same(
      committed.map((records) => records !== undefined),
      [true, false],
    );
  });
});
