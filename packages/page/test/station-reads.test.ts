import type { Station } from '@khumbu/client/generated/rest-api';
import t from 'tap';
import { createStationReads } from '../src/station-reads.js';

const station = (stationId: string, bootEpoch: number) => ({ stationId, bootEpoch }) as Station;
const shownOf = (stations: ReadonlyMap<string, Station>) =>
  [...stations.values()].map(({ stationId, bootEpoch }) => `${stationId} ${bootEpoch}`);

void t.test('of two reads the one that began last is shown, whichever ends last', async (t) => {
  const reads = createStationReads();
  const [slow, fast] = [reads.begin(), reads.begin()];
  const after = reads.withSome(new Map(), fast, [station('cs-1', 2)]);
  t.same(shownOf(reads.withSome(after, slow, [station('cs-1', 1), station('cs-2', 1)])), ['cs-1 2', 'cs-2 1']);
  t.same(shownOf(reads.withSome(after, reads.begin(), [station('cs-1', 3)])), ['cs-1 3']);
});

void t.test('a read of all that lasts long takes nothing back', async (t) => {
  const reads = createStationReads();
  const before = reads.withSome(new Map(), reads.begin(), [station('gone', 1), station('cs-2', 1)]);
  const all = reads.begin();
  const meanwhile = reads.withSome(before, reads.begin(), [station('cs-2', 2), station('new', 1)]);
  t.same(shownOf(reads.withAll(meanwhile, all, [station('cs-1', 1), station('cs-2', 1), station('cs-3', 1)])), [
    'cs-1 1',
    'cs-2 2',
    'cs-3 1',
    'new 1',
  ]);
});

void t.test('a read from before all were read is older than that', async (t) => {
  const reads = createStationReads();
  const [slow, all] = [reads.begin(), reads.begin()];
  const shown = reads.withAll(new Map(), all, [station('cs-1', 2)]);
  t.same(shownOf(reads.withSome(shown, slow, [station('cs-1', 1)])), ['cs-1 2']);
});
