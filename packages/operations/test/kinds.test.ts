import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { KINDS, OPERATION_KINDS, STATION_KINDS } from '@khumbu/operations/kinds/kinds';
import { newRecordBase } from '@khumbu/operations/records/record';
import t from 'tap';
import { logRecord } from './make-records.js';
import { AT, fresh, redis, stored } from './store-stage.js';

void t.test('generic code knows no kind by name', async (t) => {
  const named = new RegExp(`'(${OPERATION_KINDS.filter((kind) => kind !== 'reset').join('|')})'`);
  const src = join(import.meta.dirname, '../../src');
  const own = join('kinds', 'kinds.ts');
  let count = 0;
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    if (file === own || (file.startsWith(`kinds${sep}`) && file.split(sep).length > 2)) continue;
    count += 1;
    const text = readFileSync(join(src, file), 'utf8');
    t.notMatch(text, named, file);
    t.notMatch(text, /\bkind === '|switch \(\w*\.?kind\)/, file);
    t.notMatch(text, /StatusEnum/, `${file}: the words of its statuses`);
  }
  t.ok(count > 30, 'the sources were found');
});

void t.test('every state that an operation can enter has a row, and a job where it wants one', async (t) => {
  for (const kind of OPERATION_KINDS) {
    const { transitions, jobs } = KINDS[kind];
    const rows: Readonly<Record<string, Readonly<Record<string, string>>>> = transitions;
    for (const [state, row] of Object.entries(rows))
      for (const next of Object.values(row)) t.ok(next in rows, `${kind} ${state} -> ${next}`);
    t.ok(jobs.length > 0, kind);
  }
  t.same(
    OPERATION_KINDS.filter((kind) => !STATION_KINDS.some((one) => one === kind)),
    ['firmware_fetch'],
    'what serves the whole depot has no slot',
  );
});

void t.test(
  'a record of a kind that this version does not know is left alone, as one of a newer version',
  async (t) => {
    const { store } = fresh();
    const known = await stored(store, logRecord());
    const later = newRecordBase('diagnose', 'Begun', {
      station: 'cp1',
      origin: 'everest',
      requestId: 1,
      now: AT,
      id: 'd',
    });
    await redis.hset(store.keys.record('d'), {
      version: '1',
      schema: '1',
      data: JSON.stringify({ ...later, version: 1 }),
    });
    await t.rejects(store.load('d'), { code: 'RECORD_TOO_NEW' });
    t.same(await store.loadMany(['d', known.id]), [known]);
    t.equal(await store.load(known.id, 'firmware_update'), undefined, 'none of this kind');
    t.match(await store.load(known.id, 'log_upload'), { id: known.id });
    await redis.hset(store.keys.record('d'), { data: '{"id":"d"}' });
    await t.rejects(store.load('d'), { code: 'RECORD_UNREADABLE' });
  },
);
