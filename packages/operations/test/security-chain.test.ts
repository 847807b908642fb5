import { canonical, chainOn, createVerifier, GENESIS, hashOf } from '@khumbu/operations/security-log/chain';
import type { SecurityEntry, SecurityFact } from '@khumbu/operations/security-log/entry';
import { howManyGo } from '@khumbu/operations/security-log/forget-entries';
import { matches } from '@khumbu/operations/security-log/read-entries';
import t from 'tap';

const AT = 1_800_000_000_000;
const fact = (n: number, station?: string): SecurityFact => ({
  at: AT + n * 1000,
  what: 'login',
  phase: 'done',
  by: { cause: 'depot', name: 'log-worker' },
  ...(station === undefined ? {} : { station }),
  details: { host: 'cp1', n },
});
const chained = (count: number): SecurityEntry[] =>
  chainOn(
    GENESIS,
    Array.from({ length: count }, (_none, n) => fact(n, n % 2 ? 'cp1' : undefined)),
  );
const verify = (entries: readonly SecurityEntry[], options = {}) => {
  const verifier = createVerifier(options);
  for (const entry of entries) verifier.add(entry);
  return verifier.end();
};
const point = ({ sequence, hash }: SecurityEntry) => ({ sequence, hash });

void t.test('one value has one spelling', async (t) => {
  t.equal(
    canonical({ b: [2, { d: 'ä"\n', c: true }], a: undefined, '10': 1, '9': 2 }),
    '{"10":1,"9":2,"b":[2,{"c":true,"d":"ä\\"\\n"}]}',
  );
  const [entry] = chained(1);
  // By hand: printf %s '<canonical form>' | sha256sum.
  t.equal(hashOf(JSON.parse(JSON.stringify(entry))), entry?.hash, 'whoever reads an export gets the same');
  t.equal(canonical(entry).includes(' '), false);
});

void t.test('what a verifier says', async (t) => {
  const five = chained(5);
  const at = (n: number): SecurityEntry => five[n] as SecurityEntry;
  const altered = (n: number, change: Partial<SecurityEntry>): SecurityEntry[] =>
    five.map((entry, index) => (index === n ? { ...entry, ...change } : entry));
  const rehashed = (entry: SecurityEntry): SecurityEntry => ({ ...entry, hash: hashOf(entry) });
  const anchors = [point(at(2)), point(at(4))];
  const table: [string, readonly SecurityEntry[], object, unknown][] = [
    ['whole', five, { anchors }, undefined],
    ['nothing', [], {}, undefined],
    ['nothing, but it was noted', [], { anchors }, { kind: 'cut', sequence: 1 }],
    ['another text', altered(2, { what: 'nothing' }), {}, { kind: 'hash', sequence: 3 }],
    ['another text with its hash', altered(2, rehashed({ ...at(2), what: 'x' })), {}, { kind: 'link', sequence: 4 }],
    [
      'another last text with its hash',
      altered(4, rehashed({ ...at(4), what: 'x' })),
      { anchors },
      { kind: 'anchor', sequence: 5 },
    ],
    ['one left out', five.toSpliced(2, 1), {}, { kind: 'gap', sequence: 4 }],
    ['the first left out', five.slice(1), {}, { kind: 'gap', sequence: 2 }],
    ['the end cut off', five.slice(0, 4), { anchors }, { kind: 'cut', sequence: 5 }],
    ['the end cut off before it was noted', five.slice(0, 4), { anchors: anchors.slice(0, 1) }, undefined],
    ['the beginning removed', five.slice(2), { checkpoint: point(at(1)) }, undefined],
    ['too much of it removed', five.slice(3), { checkpoint: point(at(1)) }, { kind: 'gap', sequence: 4 }],
    [
      'a checkpoint that is made up',
      five.slice(2),
      { checkpoint: { sequence: 2, hash: 'f'.repeat(64) } },
      { kind: 'link', sequence: 3 },
    ],
    [
      'a checkpoint that is not the noted one',
      five.slice(3),
      { checkpoint: point(rehashed({ ...at(2), what: 'x' })), anchors: [point(at(2))] },
      { kind: 'link', sequence: 4 },
    ],
    [
      'all removed, to another place than noted',
      [],
      { checkpoint: { sequence: 3, hash: 'f'.repeat(64) }, anchors: [point(at(2))] },
      { kind: 'anchor', sequence: 3 },
    ],
    ['those of one station', five.filter(({ stationId }) => stationId), { isPartial: true }, undefined],
    ['those of one station, in disorder', [at(3), at(1)], { isPartial: true }, { kind: 'gap', sequence: 2 }],
  ];
  for (const [what, entries, options, fault] of table) {
    const verdict = verify(entries, options);
    t.strictSame(verdict.fault, fault, what);
    t.equal(verdict.ok, fault === undefined, what);
  }
  t.strictSame(verify(five), { ok: true, entries: 5, first: 1, last: point(at(4)) });
});

void t.test('how many entries go', async (t) => {
  const day = 24 * 3600_000;
  const ages = (...days: number[]) => days.map((age) => ({ at: new Date(AT - age * day).toISOString() }));
  const table: [string, { at: string }[], number, { days: number; most: number }, number][] = [
    ['none are there', [], 0, { days: 10, most: 1000 }, 0],
    ['all young', ages(9, 1), 2, { days: 10, most: 1000 }, 0],
    ['too old, but not by a day', ages(10.5, 1), 2, { days: 10, most: 1000 }, 0],
    ['by a day: with all that are too old', ages(11.5, 10.5, 1), 3, { days: 10, most: 1000 }, 2],
    ['a clock that was set back: only up to the first young one', ages(12, 1, 12), 3, { days: 10, most: 1000 }, 1],
    ['too many, not by a batch', ages(1, 1, 1), 1900, { days: 10, most: 1000 }, 0],
    ['too many by a batch', ages(1, 1, 1), 2000, { days: 10, most: 1000 }, 3],
    ['all too old', ages(30, 20), 2, { days: 10, most: 1000 }, 2],
  ];
  for (const [what, oldest, length, keep, wanted] of table) t.equal(howManyGo(oldest, length, keep, AT), wanted, what);
});

void t.test('what a filter lets through', async (t) => {
  const [entry] = chainOn(GENESIS, [fact(0)]) as [SecurityEntry];
  t.ok(matches({ since: AT, until: AT, what: 'login' }, entry), 'both bounds count');
  t.notOk(matches({ since: AT + 1 }, entry));
  t.notOk(matches({ until: AT - 1 }, entry));
  t.notOk(matches({ what: 'reset' }, entry));
});
