import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import { awaitsDelayedPermission, TOLD_LOOK_MS } from '@khumbu/operations/kinds/firmware-update/permission-wait';
import { needsReaffirming, reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent, type EventDetail } from '@khumbu/operations/kinds/firmware-update/transition';
import { isOverdue, waitingOf } from '@khumbu/operations/kinds/kinds';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import { iso } from '@khumbu/test-support/dates';
import t from 'tap';
import { updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const HOUR = 3600_000;
const LEAD_MS = 60_000;

type Told = [at: number, status: string];
type Step =
  | { readonly at: number; readonly event: FirmwareUpdateEvent; readonly detail?: EventDetail }
  | { readonly at: number; readonly restart: number };

/** What EVerest hears and when, in hours from now. */
function play(
  record: FirmwareUpdateRecord,
  dialect: Dialect,
  triggerLeadMs: number | undefined,
  steps: readonly Step[],
): { record: FirmwareUpdateRecord; told: Told[]; metadata: unknown[] } {
  let current = record;
  let bootEpoch = 1;
  const told: Told[] = [];
  const metadata: unknown[] = [];
  for (const step of steps) {
    const context = {
      now: momentOf(NOW + step.at * HOUR),
      dialect,
      bootEpoch,
      ...(triggerLeadMs === undefined ? {} : { triggerLeadMs }),
    };
    let next: ReturnType<typeof reaffirm>;
    if ('restart' in step) {
      bootEpoch = step.restart;
      if (!needsReaffirming(current, bootEpoch)) continue;
      next = reaffirm(current, { ...context, bootEpoch });
    } else next = applyUpdateEvent(current, step.event, context, step.detail);
    current = next.record;
    for (const { payload } of next.statuses) {
      const { firmware_update_status, firmware_update_metadata } = payload as Record<string, string>;
      told.push([step.at, firmware_update_status ?? '']);
      metadata.push(firmware_update_metadata);
    }
  }
  return { record: current, told, metadata };
}

const INSTALL_AT = iso(NOW + 10 * HOUR);
const TRIGGER_AT = 10 - LEAD_MS / HOUR;
const unsigned = (requestId: number, more: Partial<FirmwareUpdateRecord> = {}): FirmwareUpdateRecord =>
  updateRecord({
    requestId,
    request: { location: 'http://h/f', request_id: requestId, install_timestamp: INSTALL_AT },
    ...more,
  });
const signed = (requestId: number, more: Partial<FirmwareUpdateRecord> = {}): FirmwareUpdateRecord =>
  unsigned(requestId, { signed: true, ...more });

const asked = { set: { waitingFor: 'permission' } } as const;
/** As the workers go on: the image comes in the first hour, the install is at ten. */
const upToReady = ({ signed }: FirmwareUpdateRecord): Step[] => [
  { at: 0, event: 'confirmed' },
  { at: 0, event: 'fetchJoined' },
  ...(signed
    ? ([
        { at: 1, event: 'fetched' },
        { at: 1, event: 'signatureGood', detail: asked },
      ] as const)
    : ([{ at: 1, event: 'fetched', detail: asked }] as const)),
  { at: 1, event: 'installLater' },
];
const due: Step = { at: TRIGGER_AT, event: 'triggerDue' };
const installed: Step[] = [
  { at: 10, event: 'installBegun' },
  { at: 10, event: 'rebootNeeded' },
  { at: 10, event: 'proved' },
];
const names = (told: readonly Told[]): string => told.map(([at, status]) => `${at}:${status}`).join(' ');
const T = TRIGGER_AT;

void t.test(
  'what a station hears of an update that is to be installed later, by dialect, signature and setting',
  async (t) => {
    const DIALECTS = ['ocpp1.6', 'ocpp2.x', 'unknown'] as const;
    const end = '10:Installing 10:InstallRebooting 10:Installed';
    for (const dialect of DIALECTS) {
      const ofSigned = [
        `0:Downloading 1:Downloaded 1:SignatureVerified 1:InstallScheduled ${end}`,
        `0:Downloading 1:Downloaded ${T}:SignatureVerified ${T}:InstallScheduled ${end}`,
      ] as const;
      const wanted: [FirmwareUpdateRecord, string, string][] = [
        [signed(7), ...ofSigned],
        [
          unsigned(7),
          `0:Downloading 1:Downloaded 1:InstallScheduled ${end}`,
          `0:Downloading ${T}:Downloaded ${T}:InstallScheduled ${end}`,
        ],
      ];
      if (dialect === 'ocpp2.x') wanted.push([signed(-1), ...ofSigned]);
      else {
        const plain = '10:Installing 10:Installed';
        wanted.push(
          [unsigned(-1), `0:Downloading 1:Downloaded ${plain}`, `0:Downloading ${T}:Downloaded ${plain}`],
          [signed(-1), `0:Downloading 1:Downloaded ${plain}`, `0:Downloading ${T}:Downloaded ${plain}`],
        );
      }
      for (const [record, atOnce, held] of wanted) {
        const what = `${dialect} ${record.signed ? 'signed' : 'unsigned'} ${record.requestId}`;
        const early = play(record, dialect, undefined, [...upToReady(record), ...installed]);
        t.equal(names(early.told), atOnce, `${what}, at once`);
        const late = play(record, dialect, LEAD_MS, [...upToReady(record), due, ...installed]);
        t.equal(names(late.told), held, `${what}, before the install`);
        t.same(
          late.record.history.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1]),
          early.record.history.map(({ state }) => state),
          `${what}: the history is the same`,
        );
        t.notOk(late.record.triggerHeldUntil ?? late.record.heldStatuses, `${what}: nothing is left`);
      }
    }
  },
);

void t.test('while the status is held back', async (t) => {
  for (const record of [signed(7), unsigned(7), unsigned(-1)]) {
    const ready = play(record, 'ocpp1.6', LEAD_MS, upToReady(record)).record;
    const at = momentOf(NOW + 2 * HOUR);
    t.match(ready, { state: 'InstallScheduled', triggerHeldUntil: NOW + T * HOUR, triggerEpoch: undefined });
    t.match(waitingOf(ready, at), {
      for: 'announcement',
      since: NOW + HOUR,
      until: NOW + T * HOUR,
      afterwards: 'goes_on',
      liftedBy: ['time'],
    });
    t.match(expectedJob(ready), { name: 'announce', date: NOW + T * HOUR }, 'its job is to tell it');
    t.notOk(needsReaffirming(ready, 2), 'a restart of EVerest asks for nothing');
    t.notOk(isOverdue(ready, momentOf(NOW + 9 * HOUR)), 'it is not late');
    const allowed = { ...ready, permission: { bootEpoch: 1, at: NOW, by: 'rest' as const } };
    t.match(expectedJob(allowed), { name: 'announce' }, 'nor is it installed untold, whoever has allowed it');
  }
});

void t.test('what was not told yet needs no end that gives connectors back', async (t) => {
  const ends: [FirmwareUpdateRecord, FirmwareUpdateEvent, string][] = [
    [signed(7), 'canceled', '0:Downloading 1:Downloaded 2:InstallationFailed'],
    [unsigned(7), 'canceled', '0:Downloading 2:DownloadFailed'],
    [unsigned(-1), 'canceled', '0:Downloading 2:DownloadFailed'],
    [signed(7), 'superseded', '0:Downloading 1:Downloaded'],
    [unsigned(7), 'superseded', '0:Downloading'],
    [unsigned(7), 'imageLost', '0:Downloading 2:InstallationFailed'],
  ];
  for (const dialect of ['ocpp1.6', 'ocpp2.x', 'unknown'] as const) {
    for (const [record, event, wanted] of ends) {
      if (record.requestId === -1 && dialect === 'ocpp2.x') continue;
      const { told, record: end } = play(record, dialect, LEAD_MS, [...upToReady(record), { at: 2, event }]);
      t.equal(names(told), wanted, `${dialect} ${record.signed} ${record.requestId} ${event}`);
      t.notOk(end.triggerHeldUntil ?? end.heldStatuses);
    }
    const after = play(unsigned(7), dialect, LEAD_MS, [
      ...upToReady(unsigned(7)),
      due,
      { at: 10, event: 'superseded' },
    ]);
    const close = dialect === 'ocpp2.x' ? '' : ' 10:InstallationFailed';
    t.equal(names(after.told), `0:Downloading ${T}:Downloaded ${T}:InstallScheduled${close}`, 'but once it was told');
  }
  const bad = signed(-1);
  const judged = play(bad, 'ocpp1.6', LEAD_MS, [...upToReady(bad).slice(0, 3), { at: 1, event: 'signatureBad' }]);
  t.equal(names(judged.told), '0:Downloading 1:InstallationFailed', 'a bad signature is told at once');
});

void t.test('no date ahead, no connectors to spare, nobody to tell: nothing is held back', async (t) => {
  const soon = iso(NOW + HOUR + LEAD_MS);
  const past = iso(NOW - HOUR);
  for (const install_timestamp of [soon, past, undefined]) {
    const request = { location: 'x', request_id: 7, ...(install_timestamp ? { install_timestamp } : {}) };
    const { told } = play(unsigned(7, { request }), 'ocpp1.6', LEAD_MS, upToReady(unsigned(7)).slice(0, 3));
    t.equal(names(told), '0:Downloading 1:Downloaded', String(install_timestamp));
  }
  const inUse = [
    ...upToReady(unsigned(7)).slice(0, 2),
    {
      at: 1,
      event: 'fetched' as const,
      detail: { set: { permissionNeeded: false, disableConnectors: false } },
    },
  ];
  const kept = play(unsigned(7), 'ocpp2.x', LEAD_MS, inUse);
  t.equal(names(kept.told), '0:Downloading 1:Downloaded');
  t.same(kept.metadata.at(-1), { disable_connectors_during_install: false });
  const later = [
    ...upToReady(signed(-1)).slice(0, 3),
    {
      at: 2,
      event: 'signatureGood' as const,
      detail: { set: { permissionNeeded: false, disableConnectors: false } },
    },
  ];
  const found = play(signed(-1), 'ocpp1.6', LEAD_MS, later);
  t.equal(names(found.told), '0:Downloading 2:Downloaded', 'as soon as the image says that they stay in use');
  const silent = unsigned(7, { announced: false });
  const unheard = play(silent, 'ocpp1.6', LEAD_MS, upToReady(silent));
  t.same(unheard.told, []);
  t.equal(unheard.record.triggerHeldUntil, undefined);
});

void t.test('restarts of EVerest before and after the status was told', async (t) => {
  const record = unsigned(7);
  const before = play(record, 'ocpp2.x', LEAD_MS, [...upToReady(record), { at: 5, restart: 2 }, due]);
  t.equal(names(before.told), `0:Downloading ${T}:Downloaded ${T}:InstallScheduled`, 'told once');
  t.match(before.record, { triggerEpoch: 2, waitingFor: 'permission_unobtainable' });
  const after = play(record, 'ocpp1.6', LEAD_MS, [...upToReady(record), due, { at: 10, restart: 2 }]);
  t.equal(names(after.told), `0:Downloading ${T}:Downloaded ${T}:InstallScheduled 10:Downloaded`, 'told again');
  const ready = play(record, 'ocpp1.6', LEAD_MS, upToReady(record)).record;
  const allowed = { ...ready, permission: { bootEpoch: 1, at: NOW, by: 'rest' as const } };
  t.match(play(allowed, 'ocpp1.6', LEAD_MS, [due]).record, { permission: { by: 'rest' }, waitingFor: undefined });
  t.match(
    play(allowed, 'ocpp1.6', LEAD_MS, [{ at: 5, restart: 2 }, due]).record,
    { permission: undefined, waitingFor: 'permission' },
    'a permission from before a restart is void',
  );
});

void t.test(
  'a signed update whose permission is delayed tells that it is scheduled, where that can be said',
  async (t) => {
    const now = (more: Partial<FirmwareUpdateRecord> = {}) =>
      updateRecord({ signed: true, request: { location: 'x', request_id: 7 }, ...more });
    const steps = upToReady(now()).slice(0, 4);
    for (const dialect of ['ocpp1.6', 'ocpp2.x', 'unknown'] as const) {
      const ready = play(now(), dialect, LEAD_MS, steps).record;
      t.match(expectedJob(ready), { name: 'announce', notBefore: NOW + HOUR + TOLD_LOOK_MS }, dialect);
      const { told, record } = play(now(), dialect, LEAD_MS, [...steps, { at: 2, event: 'permissionDelayed' }]);
      t.equal(names(told), '0:Downloading 1:Downloaded 1:SignatureVerified 2:InstallScheduled', dialect);
      t.match(record, { state: 'InstallScheduled', waitingFor: 'permission', deadlineAt: ready.deadlineAt });
      t.match(waitingOf(record, momentOf(NOW + 2 * HOUR)), { for: 'permission', since: NOW + HOUR });
      t.equal(expectedJob(record), undefined, 'once');
    }
    const permission = { bootEpoch: 1, at: NOW, by: 'everest' as const };
    const others = [
      { requestId: -1 },
      { announced: false },
      { permissionNeeded: false },
      { permission },
      { signed: false },
    ];
    for (const more of others) {
      const ready = play(now(more), 'ocpp1.6', LEAD_MS, upToReady(now(more)).slice(0, more.signed === false ? 3 : 4));
      t.notOk(awaitsDelayedPermission(ready.record), JSON.stringify(more));
      t.equal(ready.record.notBefore, undefined, JSON.stringify(more));
    }
  },
);
