import type { ProgressEvent, Station } from '@khumbu/client/generated/rest-api';
import t from 'tap';
import { NOTHING, withProgress } from '../src/depot.js';
import { progressShare, progressWords } from '../src/progress-words.js';

void t.test('what is told is shown, rate and estimate as well', async (t) => {
  t.same(progressWords({ bytes: 5_000_000, totalBytes: 20_000_000, bytesPerS: 1_500_000, remainingS: 10 }), [
    '5.0 MB of 20 MB',
    '1.5 MB/s',
    '10 s left',
  ]);
  t.same(progressWords({ bytes: 700, records: 12 }), ['700 B', '12 records']);
  t.same(progressWords({ percent: 40 }), ['40 %']);
  t.same(progressWords({ bytes: 0, bytesPerS: 0 }), ['0 B', '0 B/s'], 'it stands still');
  t.equal(progressShare({ bytes: 5, totalBytes: 20 }), 25);
  t.equal(progressShare({ bytes: 5 }), undefined);
});

void t.test('an event of progress is that of its operation, with all that it tells', async (t) => {
  const station = { stationId: 'cs-1', operations: [{ operationId: 'op-1' }, { operationId: 'op-2' }] } as Station;
  const state = { ...NOTHING, stations: new Map([['cs-1', station]]) };
  const told = { at: '2026-11-29T12:00:00.000Z', bytes: 10, totalBytes: 100, records: 3, bytesPerS: 5, remainingS: 18 };
  const event: ProgressEvent = {
    type: 'progress',
    stationId: 'cs-1',
    operationId: 'op-2',
    kind: 'log_upload',
    ...told,
  };
  const operations = withProgress(state, event).stations.get('cs-1')?.operations;
  t.same(operations, [{ operationId: 'op-1' }, { operationId: 'op-2', progress: told }]);
  t.equal(withProgress(state, { ...event, operationId: 'other' }), state);
});
