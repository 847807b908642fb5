import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { isEnded } from '@khumbu/operations/records/record';
import t from 'tap';
import type { Requester } from '../src/requester.js';
import { STATION, UPDATE } from './fixtures.js';
import { accepted, must, openStage, requester } from './stage.js';

void t.test('a permission counts only where an update waits, in the boot it came in', async (t) => {
  const d = await openStage(t);
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), false);
  const id = await accepted(d.intake);
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), false, 'too early');
  await d.boots.notice(STATION, 20_000);
  await d.advance(id, ['fetchJoined', 'fetched']);
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), true);
  t.match(await d.store.load(id), { permission: { bootEpoch: 1, by: 'everest' } });
  t.ok((await d.jobIds()).includes(`${id}.install.1`));
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), false, 'repeated');
  await d.boots.notice(STATION, 20_000);
  await d.boots.settle(STATION);
  const again = (await d.store.load(id)) as FirmwareUpdateRecord;
  t.equal(again.permission, undefined, 'void after a restart of EVerest');
  t.match((await d.store.outboxEntries(STATION)).at(-1), { payload: { firmware_update_status: 'Downloaded' } });
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), true);
  t.match(await d.store.load(id), { permission: { bootEpoch: 2 } });
  t.notOk(isEnded(must(await d.store.load(id))));
});

void t.test('a permission of this boot stays, though the trigger was stored before the boot was counted', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched']);
  await d.boots.notice(STATION, 20_000);
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), true, 'the new boot was told the trigger');
  const told = await d.store.outboxEntries(STATION);
  await d.boots.settle(STATION);
  t.match(await d.store.load(id), { permission: { bootEpoch: 1, by: 'everest' }, triggerEpoch: 1 });
  t.same(await d.store.outboxEntries(STATION), told, 'OCPP 2.x would not answer it again');
  await d.boots.notice(STATION, 20_000);
  await d.boots.settle(STATION);
  t.equal(((await d.store.load(id)) as FirmwareUpdateRecord).permission, undefined, 'void after the next restart');
});

void t.test('an operator’s permission says nothing of what EVerest was told', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched']);
  await d.boots.notice(STATION, 20_000);
  t.equal(await d.intake.allowInstallation(STATION, 'rest', id), true);
  await d.boots.settle(STATION);
  t.match(await d.store.load(id), { permission: undefined, triggerEpoch: 1 });
  t.match((await d.store.outboxEntries(STATION)).at(-1), { payload: { firmware_update_status: 'Downloaded' } });
});

void t.test('a permission counts only once EVerest was told that there is something to permit', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched']);
  const ready = (await d.store.load(id)) as FirmwareUpdateRecord;
  const held = { ...ready, triggerHeldUntil: Date.now() + 3600_000, heldStatuses: ['Downloaded' as const] };
  await d.store.commit(d.store.transaction().put(held));
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), false, 'it speaks of something else');
  t.equal(await d.intake.allowInstallation(STATION, 'rest', id), true, 'an operator knows what he allows');
  t.match(await d.store.load(id), { permission: { by: 'rest' }, triggerHeldUntil: held.triggerHeldUntil });
});

void t.test('where two stations share a name, a permission does not count', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched']);
  await d.store.commit(d.store.transaction().setStation(STATION, { conflictSince: String(Date.now()) }));
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), false);
  t.equal(await d.intake.allowInstallation(STATION, 'rest', id), false);
  t.equal(((await d.store.load(id)) as FirmwareUpdateRecord).permission, undefined);
  await d.store.commit(d.store.transaction().setStation(STATION, { conflictSince: undefined }));
  t.equal(await d.intake.allowInstallation(STATION, 'everest'), true);
});

void t.test(
  'a permission that comes while the update rests for an offer counts once the offer is withdrawn',
  async (t) => {
    for (const offers of [1, 2]) {
      for (const by of ['everest', 'rest'] as const) {
        await t.test(`${offers} offers, by ${by}`, async (t) => {
          const d = await openStage(t);
          const id = await accepted(d.intake);
          await d.advance(id, ['fetchJoined', 'fetched']);
          const asked: [Requester, string][] = [];
          for (let count = 0; count < offers; count++) {
            const who = requester();
            asked.push([
              who,
              must((await d.intake.updateFirmware({ ...UPDATE, request_id: 8 + count }, who)).operationId),
            ]);
          }
          t.equal(
            await d.intake.allowInstallation(STATION, by, by === 'rest' ? id : undefined),
            true,
            'it is not lost',
          );
          t.equal(await d.intake.allowInstallation(STATION, by), false, 'a repeat means nothing');
          t.same(await d.jobIds(), [`${id}.download.1`], 'at rest it begins nothing');
          for (const [who, offered] of asked.reverse()) await d.intake.revoke(who, 'update_firmware', offered);
          t.match(await d.store.load(id), { state: 'Downloaded', permission: { by }, heldFor: undefined });
          t.ok((await d.jobIds()).includes(`${id}.install.1`), 'the update goes on');
        });
      }
    }
  },
);
