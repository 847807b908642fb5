/** What a list of the object store says about a download, and when the next piece of it is put there. */
import {
  type Begun,
  bestOf,
  cutAt,
  type Held,
  heldBy,
  isWorthTaking,
  nextStep,
  type Piece,
  pieceName,
  readBegun,
  readKey,
  removable,
  withoutReplaced,
} from '@khumbu/ota-worker/pieces/piece-names';
import { longestMs, nextPiece } from '@khumbu/ota-worker/pieces/piece-pace';
import { createTurns } from '@khumbu/ota-worker/pieces/piece-turns';
import { whenAborted } from '@khumbu/shared/runtime/abort';
import t from 'tap';

const KIB = 1024;
const MIB = 1024 * KIB;
const [ONE, TWO, THREE] = ['1', '2', '3'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`) as [
  string,
  string,
  string,
];
const never = new AbortController().signal;
const sha256 = 'a'.repeat(64);
const begun = (more: Partial<Begun> = {}): Begun => ({
  validators: { etag: '"1"' },
  startedAt: 1,
  goesOnFrom: [],
  ...more,
});
const piece = (generation: string, offset: number, bytes: number): Piece => {
  const named = { generation, offset, sha256 };
  return { ...named, bytes, key: `firmware/fetching/f/${pieceName(named)}` };
};

void t.test('a key says what it is of; others are none of ours', async (t) => {
  const { key } = piece(ONE, 5 * MIB, 7);
  t.same(readKey(key, 7), { key, fetch: 'f', generation: ONE, bytes: 7, sha256, offset: 5 * MIB });
  t.match(readKey(`firmware/fetching/f/${ONE}/begun.${sha256}`, 7), { offset: undefined, generation: ONE });
  for (const other of [`${key}x`, `firmware/sha256/${sha256}`, `firmware/fetching/f/${ONE}/x.${sha256}`, 'x'])
    t.equal(readKey(other, 7), undefined, other);
});

void t.test('held is what follows each other from the first byte on', async (t) => {
  const bytesOf = (objects: readonly Piece[], goesOnFrom: readonly string[] = []): number =>
    heldBy(TWO, begun({ goesOnFrom }), objects).bytes;
  const [first, second] = [piece(ONE, 0, 100), piece(ONE, 100, 100)];
  const own = piece(TWO, 100, 50);
  t.equal(bytesOf([]), 0);
  t.equal(bytesOf([piece(TWO, 0, 10), piece(TWO, 20, 10)]), 10, 'a piece is missing');
  t.equal(bytesOf([piece(TWO, 10, 10)]), 0, 'the first one is missing');
  t.equal(bytesOf([first, own]), 0, 'of another run');
  t.equal(bytesOf([first, second, own], [pieceName(first)]), 150, 'of another run, gone on from');
  t.equal(bytesOf([own], [pieceName(first)]), 0, 'that has been removed');
  t.equal(bytesOf([piece(TWO, 0, 10), piece(TWO, 0, 30), piece(TWO, 30, 5)]), 35, 'the first put had no answer');
});

const held = (generation: string, bytes: number, more: Partial<Begun> = {}): Held => ({
  generation,
  begun: begun(more),
  pieces: [],
  bytes,
});

void t.test('of the content that was begun last the longest is gone on with', async (t) => {
  const others = { validators: { etag: '"2"' } };
  const best = (...all: Held[]): string | undefined => bestOf(all)?.generation;
  t.equal(best(), undefined);
  t.equal(best(held(ONE, 0)), undefined);
  t.equal(best(held(ONE, 20), held(TWO, 10, { startedAt: 2 })), ONE);
  t.equal(best(held(ONE, 20), held(TWO, 10, { startedAt: 2, ...others })), TWO);
  t.equal(best(held(ONE, 20), held(TWO, 0, { startedAt: 2, ...others })), ONE, 'nothing has come of it');
  t.equal(best(held(ONE, 20, { total: 19 })), undefined, 'more than there is');
});

void t.test('what the own spool has counts, unless another one has more, or of newer content', async (t) => {
  const local = { bytes: MIB, validators: { etag: '"1"' }, startedAt: 5 };
  const kept = (bytes: number, more: Partial<Begun> = {}) => ({ bytes, begun: begun(more) });
  t.ok(isWorthTaking(kept(1), undefined));
  t.ok(isWorthTaking(kept(1), { ...local, bytes: 0 }));
  t.notOk(isWorthTaking(kept(0), undefined));
  t.notOk(isWorthTaking(kept(MIB + 255 * KIB), local));
  t.ok(isWorthTaking(kept(MIB + 256 * KIB), local));
  t.notOk(isWorthTaking(kept(9 * MIB, { validators: { etag: '"2"' }, startedAt: 4 }), local));
  t.ok(isWorthTaking(kept(1, { validators: { etag: '"2"' }, startedAt: 6 }), local));
  t.notOk(isWorthTaking(kept(9 * MIB, { startedAt: 4 }), local, true), 'the same is claimed of older content');
  t.ok(isWorthTaking(kept(1, { startedAt: 6 }), local, true), 'of newer content');
});

void t.test('a description that is none is none', async (t) => {
  t.same(readBegun(JSON.stringify(begun())), begun());
  for (const text of ['', 'null', '{}', '{"validators":{}}', '{"validators":{},"startedAt":1}', '['])
    t.equal(readBegun(text), undefined);
});

void t.test('pieces follow the line', async (t) => {
  t.equal(nextPiece(256 * KIB - 1, 60_000), 0, 'too little to be worth a request');
  t.equal(nextPiece(256 * KIB, 499), 0, 'two a second');
  t.equal(nextPiece(256 * KIB, 500), 256 * KIB);
  t.equal(nextPiece(MIB, 500), MIB, 'all that has come');
  t.equal(nextPiece(MIB + 1, 0), MIB, 'a fast line');
  t.equal(nextPiece(100 * MIB, 60_000), MIB);
});

void t.test('what an earlier run has kept is compared first, and waited for', async (t) => {
  const of = (...pieces: Piece[]): Held => ({
    ...held(
      ONE,
      pieces.reduce((sum, { bytes }) => sum + bytes, 0),
    ),
    pieces,
  });
  const [first, second] = [piece(ONE, 0, 100), piece(ONE, 100, 100)];
  const long = of(first, second);
  t.same(nextStep([], 0, 1000), { kind: 'put' });
  t.same(nextStep([long], 0, 99), { kind: 'wait' });
  t.same(nextStep([long], 0, 100), { kind: 'compare', piece: first });
  t.same(nextStep([long], 100, 199), { kind: 'wait' });
  t.same(nextStep([long], 100, 1000), { kind: 'compare', piece: second });
  t.same(nextStep([long], 200, 1000), { kind: 'put' }, 'it has no more');
  t.same(nextStep([long], 50, 1000), { kind: 'put' }, 'none begins here');
  t.same(nextStep([of(piece(TWO, 0, 10)), long], 0, 1000), { kind: 'compare', piece: first }, 'the longest');
});

void t.test('of a damaged piece, and what is behind it, nothing is held', async (t) => {
  const [first, second] = [piece(ONE, 0, 100), piece(ONE, 100, 50)];
  const whole = { ...held(ONE, 150), pieces: [first, second] };
  t.same(cutAt([whole], second.key), [{ ...whole, pieces: [first], bytes: 100 }]);
  t.same(cutAt([whole], first.key), [{ ...whole, pieces: [], bytes: 0 }]);
  t.same(cutAt([whole], piece(TWO, 0, 100).key), [whole]);
});

void t.test('what a later run has found to be of other content is not held', async (t) => {
  const [one, two] = [held(ONE, 20), held(TWO, 10, { replaces: [ONE] })];
  t.same(withoutReplaced([one, two]), [two]);
  t.same(withoutReplaced([one]), [one]);
});

void t.test('nothing is removed that somebody goes on from', async (t) => {
  const [first, second, own, lost] = [piece(ONE, 0, 100), piece(ONE, 100, 50), piece(TWO, 100, 9), piece(THREE, 0, 9)];
  const about = { ...first, key: `firmware/fetching/f/${ONE}/begun.${sha256}`, offset: undefined };
  const objects = [about, first, second, own, lost];
  const later = held(TWO, 109, { goesOnFrom: [pieceName(first)] });
  const all = { objects, held: [held(ONE, 150), later] };
  t.same(removable(all, new Set(), new Set()), [lost], 'without its description nobody finds it');
  t.same(removable(all, new Set([ONE]), new Set()), [about, second, lost]);
  t.same(removable(all, new Set([ONE]), new Set([second.key])), [about, lost]);
  t.same(removable(all, new Set([ONE, TWO]), new Set()), objects);
});

void t.test('a store that is slower than lines is not waited for', async (t) => {
  t.equal(longestMs(64 * KIB), 3000);
  t.equal(longestMs(MIB), 18_000);
});

void t.test('so many are at work at once, in the order in which they came', async (t) => {
  const inTurn = createTurns(1);
  const order: string[] = [];
  const [first, aborter] = [new AbortController(), new AbortController()];
  const one = inTurn(never, () => whenAborted(first.signal));
  const two = t.rejects(
    inTurn(aborter.signal, async () => order.push('two')),
    { message: 'away' },
  );
  const three = inTurn(never, async () => order.push('three'));
  const four = t.rejects(inTurn(never, async () => Promise.reject(new Error('broken'))));
  const five = inTurn(never, async () => order.push('five'));
  aborter.abort(new Error('away'));
  await two;
  t.same(order, []);
  first.abort();
  await Promise.all([one, three, four, five]);
  t.same(order, ['three', 'five']);
  t.equal(await inTurn(never, async () => 'free'), 'free');
  await t.rejects(
    inTurn(aborter.signal, async () => 'late'),
    { message: 'away' },
  );
});
