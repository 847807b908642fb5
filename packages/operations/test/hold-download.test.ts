import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { putOff } from '@khumbu/operations/jobs/job-loop';
import {
  downloadNow,
  holdDownload,
  pauseByOperator,
  resumeByOperator,
} from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent, UPDATE_DEADLINES } from '@khumbu/operations/kinds/firmware-update/transition';
import type { Applied } from '@khumbu/operations/kinds/kind-definition';
import { isOverdue, operationEvent, shownStatus, waitingOf } from '@khumbu/operations/kinds/kinds';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { updateRecord } from './make-records.js';

const HOUR = 3600_000;
const now = { wall: 1_800_000_000_000, monotonic: 1_700_000_000_000 };
const context = (dialect: Dialect = 'ocpp2.x', at = now) => ({ now: at, dialect, bootEpoch: 1 });
const told = ({ statuses }: Applied<unknown>): unknown[] =>
  statuses.map(({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status);
const accepted = (more: Partial<FirmwareUpdateRecord> = {}) =>
  updateRecord({ state: 'Accepted', deadlineAt: now.monotonic + HOUR, ...more });
const downloading = (more: Partial<FirmwareUpdateRecord> = {}) =>
  updateRecord({
    state: 'Downloading',
    tries: 1,
    fetch: { id: 'f', generation: 3 },
    deadlineAt: now.monotonic + HOUR,
    ...more,
  });
const window = { for: 'download_window', until: now.monotonic + 8 * HOUR } as const;

void t.test('before the first byte it is scheduled, and asks again when the window opens', async (t) => {
  const held = holdDownload(accepted(), window, context());
  t.strictSame(told(held), ['DownloadScheduled']);
  const { record } = held;
  t.match(record, { state: 'DownloadScheduled', waitingFor: 'download_window', waitingSince: now.wall });
  t.equal(expectedJob(record)?.notBefore, window.until);
  t.match(waitingOf(record, now), {
    for: 'download_window',
    since: now.wall,
    until: now.wall + 8 * HOUR,
    afterwards: 'goes_on',
    liftedBy: ['time', 'operator'],
  });
  t.equal(record.deadlineAt, window.until + UPDATE_DEADLINES.downloadMs, 'its day begins when the window opens');

  const later = { wall: now.wall + HOUR, monotonic: now.monotonic + HOUR };
  const again = holdDownload(record, { ...window, until: window.until + HOUR }, context('ocpp2.x', later));
  t.strictSame(told(again), [], 'nothing is told twice');
  t.match(again.record, { waitingSince: now.wall, notBefore: window.until + HOUR, run: record.run + 1 });
  const other = holdDownload(record, { for: 'depot_pause' }, context('ocpp2.x', later)).record;
  t.match(other, { waitingFor: 'depot_pause', waitingSince: later.wall });
  t.match(waitingOf(other, later), { for: 'depot_pause', afterwards: 'fails', liftedBy: ['operator'] });
});

void t.test(
  'a download that stops is told as paused where the dialect has the word, and goes on as Downloading',
  async (t) => {
    const rows = [
      ['ocpp2.x', 7, ['DownloadPaused'], ['Downloading']],
      ['ocpp2.x', -1, ['DownloadPaused'], ['Downloading']],
      ['ocpp1.6', 7, ['DownloadPaused'], ['Downloading']],
      ['ocpp1.6', -1, [], []],
      ['auto', -1, [], []],
    ] as const;
    for (const [dialect, requestId, paused, goesOn] of rows) {
      const held = holdDownload(downloading({ requestId, bytesToCome: 9 }), window, context(dialect as Dialect));
      t.strictSame(told(held), paused, `${dialect} ${requestId}`);
      const { record } = held;
      t.match(record, { state: 'Downloading', downloadPaused: true, tries: 1 });
      t.equal(record.fetch, undefined, 'it has left the fetch');
      t.equal(shownStatus(record), 'DownloadPaused');
      t.match(record.history.at(-1), { state: 'DownloadPaused', reason: 'download_window' });
      t.match(operationEvent(record, 4, now), { status: 'DownloadPaused', waitingFor: 'download_window' });
      t.strictSame(told(holdDownload(record, { for: 'depot_pause' }, context(dialect as Dialect))), [], 'once');

      const at = { wall: now.wall + 9 * HOUR, monotonic: now.monotonic + 9 * HOUR };
      const joined = applyUpdateEvent(record, 'fetchJoined', context(dialect as Dialect, at), {
        set: { fetch: { id: 'f', generation: 4 } },
      });
      t.strictSame(told(joined), goesOn, `${dialect} ${requestId} goes on`);
      t.equal(shownStatus(joined.record), 'Downloading');
      t.equal(joined.record.downloadPaused, undefined);
      t.equal(joined.record.deadlineAt, at.monotonic + UPDATE_DEADLINES.downloadMs, 'with a day of its own');
      t.equal(joined.record.waitingFor, undefined);
    }
    const silent = holdDownload(downloading({ announced: false }), window, context());
    t.strictSame(told(silent), [], 'nothing of an update that EVerest does not know');
  },
);

void t.test('a try that follows another is no pause, and short delays are silent', async (t) => {
  const between = downloading();
  const { fetch: _fetch, ...waiting } = between;
  const retry = putOff(waiting, 1000, 'retry', now);
  const joined = applyUpdateEvent(retry, 'fetchJoined', context(), { set: { fetch: { id: 'f', generation: 4 } } });
  t.strictSame(told(joined), []);
  t.equal(joined.record.deadlineAt, between.deadlineAt, 'its time goes on');
  for (const word of ['retry_after', 'start_spread'] as const) {
    const held = holdDownload(accepted(), { for: word, until: now.monotonic + 5000 }, context());
    t.strictSame(told(held), [], word);
    t.match(held.record, { state: 'Accepted', waitingFor: word, deadlineAt: now.monotonic + HOUR });
    t.match(waitingOf(held.record, now), { for: word, until: now.wall + 5000, afterwards: 'goes_on' });
  }
});

void t.test('an operator pauses it in every state before the image is here, and lets it go on', async (t) => {
  const states = [accepted(), updateRecord({ state: 'DownloadScheduled' }), downloading()];
  for (const before of states) {
    const paused = pauseByOperator(before, 'alice', context());
    if (!paused) return t.fail(before.state);
    t.match(paused.record, { pausedByOperator: { at: now.wall, by: 'alice' }, waitingFor: 'operator_pause' });
    t.equal(expectedJob(paused.record), undefined, 'no job looks at it');
    t.match(waitingOf(paused.record, now), { for: 'operator_pause', liftedBy: ['operator'], afterwards: 'fails' });
    const inAMonth = { wall: now.wall, monotonic: now.monotonic + 30 * 24 * HOUR };
    t.notOk(isOverdue(paused.record, inAMonth), 'it has a month');
    const again = pauseByOperator(paused.record, 'bob', context());
    t.equal(again?.record, paused.record, 'safe to repeat');

    const resumed = resumeByOperator(paused.record, inAMonth);
    t.match(resumed, { run: paused.record.run + 1, deadlineAt: inAMonth.monotonic + UPDATE_DEADLINES.downloadMs });
    t.equal(resumed?.pausedByOperator, undefined);
    t.match(expectedJob(resumed as FirmwareUpdateRecord), { name: 'download' });
    t.equal(resumeByOperator(before, now), before, 'nothing to lift');
  }
  for (const state of ['Downloaded', 'SignatureVerified', 'Installing', 'Installed', 'Canceled'] as const) {
    const late = updateRecord({ state });
    t.strictSame(
      [pauseByOperator(late, 'a', context()), resumeByOperator(late, now), downloadNow(late, 'a', now)],
      [undefined, undefined, undefined],
    );
  }
});

void t.test('one that may come at once keeps its fetch, and its date', async (t) => {
  const running = downloadNow(downloading(), 'alice', now);
  t.match(running, { fetch: { id: 'f', generation: 3 }, downloadNow: { at: now.wall, by: 'alice' }, run: 1 });
  t.equal(downloadNow(running as FirmwareUpdateRecord, 'bob', now), running, 'safe to repeat');
  const held = holdDownload(accepted(), window, context()).record;
  const now_ = downloadNow(held, 'alice', now) as FirmwareUpdateRecord;
  t.equal(now_.notBefore, undefined);
  t.equal(now_.waitingFor, undefined);
  const at = now.wall + 48 * HOUR;
  const later = updateRecord({
    state: 'DownloadScheduled',
    request: { location: 'http://h/f', request_id: 7, retrieve_timestamp: new Date(at).toISOString() },
  });
  const planned = downloadNow(later, 'alice', now) as FirmwareUpdateRecord;
  t.equal(expectedJob(planned)?.date, at);
  t.equal(planned.deadlineAt, now.monotonic + 48 * HOUR + UPDATE_DEADLINES.downloadMs);
  const ended = applyUpdateEvent(holdDownload(downloading(), window, context()).record, 'canceled', context());
  t.strictSame(told(ended), ['DownloadFailed']);
  t.equal(shownStatus(ended.record), 'Canceled');
});
