import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { triesAllowed } from '@khumbu/operations/jobs/retry-pause';
import {
  type FetchResult,
  type FirmwareFetchRecord,
  fetchDelivered,
  fetchEnded,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { waitsForNothing } from '@khumbu/operations/kinds/firmware-update/rejoin';
import t from 'tap';
import { updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const AT = momentOf(NOW);
const GOOD: FetchResult = { ok: true, image: { sha256: 'a', sizeBytes: 1 } };
const BAD: FetchResult = { ok: false, permanent: false, reason: 'http_503', message: 'no' };
const HELD = { image: { sha256: 'a', sizeBytes: 1 }, etag: '"1"', fetchedAt: NOW };

type Wanted = { readonly [M in keyof FirmwareFetchRecord]?: FirmwareFetchRecord[M] | undefined };
type Act = readonly ['join', string, string?] | readonly ['end', FetchResult] | readonly ['deliver'];
/** The fetch after all acts, and the generation each joiner was given. */
function play(acts: readonly Act[]): { fetch: FirmwareFetchRecord; generations: Record<string, number> } {
  let fetch = newFetch('firmware-fetch-x', 'http://h/f', AT);
  const generations: Record<string, number> = {};
  for (const [act, subject, location = 'http://h/f'] of acts) {
    if (act === 'join') {
      const joined = joinFetch(fetch, subject, location, AT);
      generations[subject] = joined.generation;
      fetch = joined.fetch;
    } else if (act === 'end') fetch = fetchEnded(fetch, subject, subject.ok ? HELD : undefined, AT);
    else fetch = fetchDelivered(fetch, AT);
  }
  return { fetch, generations };
}

void t.test('joining, ending, delivering', async (t) => {
  const run = ['join', 'a'] as const;
  const cases: [string, readonly Act[], Wanted, Record<string, number>][] = [
    ['new', [], { state: 'Resting', generation: 0, waiters: [], run: 1 }, {}],
    ['the first begins a generation', [run], { state: 'Fetching', generation: 1, waiters: ['a'], run: 2 }, { a: 1 }],
    ['the second joins it', [run, ['join', 'b']], { generation: 1, waiters: ['a', 'b'], run: 2 }, { a: 1, b: 1 }],
    [
      'joining again changes nothing',
      [run, ['join', 'b'], run],
      { generation: 1, waiters: ['b', 'a'] },
      { a: 1, b: 1 },
    ],
    ['ended', [run, ['end', GOOD]], { state: 'Delivering', waiters: ['a'], result: GOOD, held: HELD }, { a: 1 }],
    ['failed', [run, ['end', BAD]], { state: 'Delivering', result: BAD, held: undefined }, { a: 1 }],
    [
      'who joins an ending one waits for the next',
      [run, ['end', GOOD], ['join', 'b', 'http://h/f?token=2'], ['join', 'b']],
      { state: 'Delivering', generation: 1, waiters: ['a'], nextWaiters: ['b'] },
      { a: 1, b: 2 },
    ],
    [
      'and is served by it',
      [run, ['end', GOOD], ['join', 'b', 'http://h/f?token=2'], ['deliver']],
      {
        state: 'Fetching',
        generation: 2,
        waiters: ['b'],
        nextWaiters: [],
        run: 3,
        result: undefined,
        held: HELD,
        location: 'http://h/f?token=2',
      },
      { a: 1, b: 2 },
    ],
    [
      'a failed waiter may come again',
      [run, ['end', BAD], ['join', 'a'], ['deliver']],
      { generation: 2, waiters: ['a'] },
      { a: 2 },
    ],
    [
      'all told: rest',
      [run, ['end', GOOD], ['deliver']],
      { state: 'Resting', waiters: [], endedAt: NOW, result: undefined, held: HELD },
      { a: 1 },
    ],
    [
      'a failure forgets nothing that is held',
      [run, ['end', GOOD], ['deliver'], run, ['end', BAD], ['deliver']],
      { state: 'Resting', generation: 2, held: HELD, result: undefined },
      { a: 2 },
    ],
    [
      'used again',
      [run, ['end', GOOD], ['deliver'], ['join', 'c', 'http://h/f?token=3']],
      {
        state: 'Fetching',
        generation: 2,
        waiters: ['c'],
        endedAt: undefined,
        result: undefined,
        location: 'http://h/f?token=3',
      },
      { a: 1, c: 2 },
    ],
  ];
  for (const [what, acts, wanted, generations] of cases) {
    const played = play(acts);
    t.match(played.fetch, wanted, what);
    for (const member of ['waiters', 'nextWaiters', 'history'] as const)
      t.ok(!wanted[member] || wanted[member].length === played.fetch[member].length, `${what}: ${member}`);
    for (const member of ['result', 'held', 'endedAt'] as const)
      if (member in wanted && wanted[member] === undefined) t.notOk(member in played.fetch, `${what}: no ${member}`);
    t.same(played.generations, generations, what);
    t.equal(played.fetch.endedAt !== undefined, played.fetch.state === 'Resting' && acts.length > 0, what);
  }
});

void t.test('every run of a fetch is another job', async (t) => {
  const runs = [play([['join', 'a']]), play([['join', 'a'], ['end', GOOD], ['deliver'], ['join', 'a']])];
  t.same(
    runs.map(({ fetch }) => fetch.run),
    [2, 3],
  );
});

void t.test('which locations are the same image', async (t) => {
  const same: [string, string, readonly string[], boolean][] = [
    ['http://h/f', 'http://h/f#disable_connectors_during_install=false', [], true],
    ['http://h/f?a=1', 'http://h/f?a=2', [], false],
    ['http://h/f?a=1&t=1', 'http://h/f?t=2&a=1', ['t'], true],
    ['http://h/f?t=1', 'http://h/f', ['t'], true],
    ['http://h/f?t=1&t=2', 'http://h/f', ['t'], true],
    ['http://h/f?t=1', 'http://h/g?t=1', ['t'], false],
    ['http://u:p@h/f', 'http://h/f', [], false],
    ['not a url?t=1', 'not a url?t=2', ['t'], false],
    // At a file server what follows ? and # belongs to the name.
    ['ftp://h/f#1', 'ftp://h/f#2', [], false],
    ['sftp://h/f?t=1', 'sftp://h/f?t=2', ['t'], false],
    ['FTPS://h/f', 'FTPS://h/f#disable_connectors_during_install=false', [], true],
  ];
  for (const [a, b, ignored, wanted] of same)
    t.equal(fetchKey(a, ignored).id === fetchKey(b, ignored).id, wanted, `${a} and ${b}`);
  const { id, location } = fetchKey('http://u:p@h/f?t=secret#x', ['t']);
  t.match(id, /^firmware-fetch-[0-9a-f]{32}$/, 'fit for a job and a file, and nothing can be read from it');
  t.equal(location, 'http://u:p@h/f?t=secret', 'the token still fetches');
});

void t.test('waiting for nothing', async (t) => {
  const waits = (generation?: number) =>
    updateRecord({
      id: 'a',
      state: 'Downloading',
      ...(generation === undefined ? {} : { fetch: { id: 'f', generation } }),
    });
  const running = play([['join', 'a']]).fetch;
  const ending = play([
    ['join', 'a'],
    ['end', GOOD],
  ]).fetch;
  const next = play([
    ['join', 'b'],
    ['end', GOOD],
    ['join', 'a'],
  ]).fetch;
  const rest = play([['join', 'a'], ['end', GOOD], ['deliver']]).fetch;
  t.equal(waitsForNothing(waits(1), running), false);
  t.equal(waitsForNothing(waits(1), ending), false);
  t.equal(waitsForNothing(waits(2), next), false);
  t.equal(waitsForNothing(waits(2), fetchDelivered(next, AT)), false);
  t.equal(waitsForNothing(waits(1), rest), true, 'over');
  t.equal(waitsForNothing(waits(1), undefined), true, 'gone');
  t.equal(waitsForNothing(waits(1), fetchDelivered(next, AT)), true, 'an earlier run');
  t.equal(waitsForNothing({ ...waits(1), id: 'c' }, running), true, 'not listed');
  t.equal(waitsForNothing(waits(), rest), false, 'waits for no fetch');
  t.equal(waitsForNothing({ ...waits(1), state: 'Downloaded' }, rest), false);
});

void t.test('tries in all', async (t) => {
  for (const [retries, wanted] of [
    [undefined, 3],
    [0, 1],
    [1, 1],
    [5, 5],
  ] as const)
    t.equal(triesAllowed(retries === undefined ? {} : { retries }, 3), wanted, String(retries));
});
