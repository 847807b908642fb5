/** What the object store has of a download becomes a closed part of the spool, as far as it comes. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sidecar } from '@khumbu/ota-worker/fetching/sidecar';
import { type Held, type Piece, pieceName } from '@khumbu/ota-worker/pieces/piece-names';
import { type PieceStore, sha256Of } from '@khumbu/ota-worker/pieces/piece-store';
import { createTurns } from '@khumbu/ota-worker/pieces/piece-turns';
import { takePieces } from '@khumbu/ota-worker/pieces/take-pieces';
import { whenAborted } from '@khumbu/shared/runtime/abort';
import t, { type Test } from 'tap';

const MIB = 1024 * 1024;
const generation = '00000000-0000-4000-8000-000000000001';
const CONTENT = randomBytes(3 * MIB);
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

const pieces: readonly Piece[] = [0, 1, 2].map((index) => {
  const offset = index * MIB;
  const named = { generation, offset, sha256: sha256Of(CONTENT.subarray(offset, offset + MIB)) };
  return { ...named, key: pieceName(named), bytes: MIB };
});
const begun = { validators: { etag: '"1"' }, total: 4 * MIB, startedAt: 1, goesOnFrom: [] };
const HELD: Held = { generation, begun, pieces, bytes: 3 * MIB };

type Read = PieceStore['read'];
const read: Read = async ({ offset, bytes }) => CONTENT.subarray(offset, offset + bytes);

async function take(t: Test, reading: Read, signal = new AbortController().signal) {
  const folder = join(t.testdir({}), 'fetching');
  await mkdir(folder);
  const told: (readonly [number, number | undefined])[] = [];
  const onProgress = (bytes: number, total?: number): void => void told.push([bytes, total]);
  const store = { inTurn: createTurns(1), read: reading };
  const taken = await takePieces([HELD], store, { key: 'f', folder, signal, onProgress });
  const contentOf = (end: string): Buffer | undefined => {
    const name = readdirSync(folder).find((file) => file.endsWith(end));
    return name === undefined ? undefined : readFileSync(join(folder, name));
  };
  const sidecar = contentOf('.json');
  return { taken, told, part: contentOf('.part'), sidecar: sidecar && (JSON.parse(String(sidecar)) as Sidecar) };
}

void t.test('all of it comes, and is told as it comes', async (t) => {
  const { taken, told, part, sidecar } = await take(t, read);
  t.same(taken, { bytes: 3 * MIB });
  t.ok(part?.equals(CONTENT));
  t.match(sidecar, { closed: true, syncedBytes: 3 * MIB, total: 4 * MIB, validators: { etag: '"1"' } });
  t.same(
    told,
    [1, 2, 3].map((count) => [count * MIB, 4 * MIB]),
  );
});

void t.test('a store that falls silent: what had come is kept', async (t) => {
  const stop = new AbortController();
  const silent: Read = (piece, signal) => {
    if (piece.offset < MIB) return read(piece, signal);
    stop.abort(new Error('stopped'));
    return whenAborted(signal).then(() => Promise.reject(new Error('aborted')));
  };
  const { taken, part, sidecar } = await take(t, silent, stop.signal);
  t.match(taken, { bytes: MIB, failure: { piece: { offset: MIB } } });
  t.ok(part?.equals(CONTENT.subarray(0, MIB)));
  t.match(sidecar, { closed: true, syncedBytes: MIB });
});

void t.test('where nothing comes nothing is left', async (t) => {
  const { taken, part, sidecar } = await take(t, () => Promise.reject(new Error('gone')));
  t.match(taken, { bytes: 0, failure: { piece: { offset: 0 } } });
  t.same([part, sidecar], [undefined, undefined]);
});
