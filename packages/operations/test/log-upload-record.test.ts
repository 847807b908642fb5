import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  applyLogEvent,
  isFinalLogState,
  LOG_UPLOAD_TRANSITIONS,
  type LogUploadEvent,
  type LogUploadState,
} from '@khumbu/operations/kinds/log-upload/record';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { logRecord } from './make-records.js';
import { NOW } from './update-walk.js';

void t.test('log uploads', async (t) => {
  const states = Object.keys(LOG_UPLOAD_TRANSITIONS) as LogUploadState[];
  for (const state of states) {
    const row = LOG_UPLOAD_TRANSITIONS[state];
    if (!isFinalLogState(state)) t.ok('outOfTime' in row, `${state} may not last for ever`);
    if (!('confirmed' in row))
      t.throws(
        () =>
          applyLogEvent(logRecord({ state }), 'confirmed', {
            now: momentOf(NOW),
            dialect: 'unknown',
          }),
        TypeError,
      );
  }
  const DONE = ['confirmed', 'uploadBegun'] as const;
  type Case = [string, number, readonly LogUploadEvent[], Record<Dialect, string>];
  const all = (status: string): Record<Dialect, string> => ({ 'ocpp1.6': status, 'ocpp2.x': status, unknown: status });
  const cases: Case[] = [
    ['happy', 3, [...DONE, 'uploaded'], all('Uploading Uploaded')],
    ['happy', -1, [...DONE, 'uploaded'], all('Uploading Uploaded')],
    ['failed tries are silent', 3, [...DONE, 'tryFailed', 'tryFailed', 'failed'], all('Uploading UploadFailure')],
    ['denied', 3, [...DONE, 'denied'], all('Uploading PermissionDenied')],
    ['denied', -1, [...DONE, 'denied'], all('Uploading UploadFailure')],
    ['bad location', 3, [...DONE, 'badMessage'], all('Uploading BadMessage')],
    ['bad location', -1, [...DONE, 'badMessage'], all('Uploading UploadFailure')],
    ['not supported', 3, ['confirmed', 'notSupported'], all('NotSupportedOperation')],
    ['not supported', -1, ['confirmed', 'notSupported'], all('UploadFailure')],
    [
      'superseded',
      3,
      [...DONE, 'superseded'],
      {
        'ocpp2.x': 'Uploading AcceptedCanceled',
        'ocpp1.6': 'Uploading UploadFailure',
        unknown: 'Uploading UploadFailure',
      },
    ],
    ['superseded', -1, [...DONE, 'superseded'], all('Uploading UploadFailure')],
    ['canceled', 3, [...DONE, 'canceled'], all('Uploading UploadFailure')],
    ['out of time', 3, [...DONE, 'outOfTime'], all('Uploading UploadFailure')],
    ['out of time', 3, ['confirmed', 'outOfTime'], all('UploadFailure')],
    ['withdrawn', 3, ['withdrawn'], all('')],
    ['never confirmed', 3, ['outOfTime'], all('')],
    ['superseded as an offer', 3, ['superseded'], all('')],
  ];
  for (const [what, requestId, events, wanted] of cases) {
    for (const dialect of ['ocpp1.6', 'ocpp2.x', 'unknown'] as const) {
      for (const announced of [true, false]) {
        let record = logRecord({ requestId, announced });
        const statuses: string[] = [];
        for (const event of events) {
          const applied = applyLogEvent(record, event, {
            now: momentOf(NOW),
            dialect,
          });
          record = applied.record;
          for (const { channel, payload } of applied.statuses) {
            t.equal(channel, 'log_status');
            const status = payload as { log_status: string; request_id: number };
            t.equal(status.request_id, requestId);
            statuses.push(status.log_status);
          }
        }
        t.equal(statuses.join(' '), announced ? wanted[dialect] : '', `${what} ${requestId} (${dialect})`);
        t.ok(record.endedAt !== undefined && record.outcome !== undefined && record.deadlineAt === undefined);
      }
    }
  }
});
