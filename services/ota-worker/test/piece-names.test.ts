/** What a list of the object store says about a download, and when the next piece of it is put there. */
import {
  type Begun,
  bestOf,
  type Held,
  heldBy,
  isWorthTaking,
  type Piece,
  pieceName,
  readBegun,
  readKey,
} from '@khumbu/ota-worker/pieces/piece-names';
import { nextPiece } from '@khumbu/ota-worker/pieces/piece-pace';
import t from 'tap';

const KIB = 1024;
const MIB = 1024 * KIB;
const [ONE, TWO] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
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
  t.equal(nextPiece(8 * MIB, 0), 8 * MIB, 'a fast line');
  t.equal(nextPiece(100 * MIB, 60_000), 8 * MIB);
});
