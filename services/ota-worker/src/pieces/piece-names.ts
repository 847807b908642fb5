/**
 * How a download that is under way lies in the object store, for other workers to go on with:
 * `firmware/fetching/<fetch>/<generation>/<offset>.<sha256>` is what begins at this byte, and `begun.<sha256>` beside it is JSON
 * that says of which content it all is. Each run writes a generation of its own. Every name ends with the SHA-256 of what was
 * put there, so a list tells which bytes are held, and no object is trusted that has become another one. Pure.
 */
import type { Labels } from '@khumbu/transfer/labels';
import type { Validators } from '@khumbu/transfer/port';

export const PIECES_BELOW = 'firmware/fetching/';

/** Of which content the pieces of a generation are. */
export interface Begun {
  readonly validators: Validators;
  readonly total?: number;
  /** The labels of its response. */
  readonly labels?: Labels;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Names of pieces of earlier generations that those of this one go on from. */
  readonly goesOnFrom: readonly string[];
  /** Earlier generations that claim the same content and hold other bytes: the origin has changed, and says the same of both. */
  readonly replaces?: readonly string[];
}

/** An object below the prefix of a fetch. */
export interface StoredObject {
  readonly key: string;
  readonly generation: string;
  readonly bytes: number;
  readonly sha256: string;
  /** `undefined`: the description of its generation. */
  readonly offset: number | undefined;
}

export interface Piece extends StoredObject {
  readonly offset: number;
}

/** What of a content can be gone on with. */
export interface Held {
  readonly generation: string;
  readonly begun: Begun;
  /** One behind the other, from the first byte on. */
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

export const folderOf = (fetch: string): string => `${PIECES_BELOW}${fetch}/`;

const OFFSET_DIGITS = 15;

/** The name of a piece within its fetch. */
export const pieceName = ({ generation, offset, sha256 }: Pick<Piece, 'generation' | 'offset' | 'sha256'>): string =>
  `${generation}/${String(offset).padStart(OFFSET_DIGITS, '0')}.${sha256}`;

export const begunName = (generation: string, sha256: string): string => `${generation}/begun.${sha256}`;

const KEY = /^firmware\/fetching\/([A-Za-z0-9_-]{1,128})\/([0-9a-f-]{36})\/(begun|\d{15})\.([0-9a-f]{64})$/;

/** `undefined`: it is none of ours. */
export function readKey(key: string, bytes: number): (StoredObject & { readonly fetch: string }) | undefined {
  const [, fetch, generation, what, sha256] = KEY.exec(key) ?? [];
  if (fetch === undefined || generation === undefined || sha256 === undefined) return undefined;
  return { key, fetch, generation, bytes, sha256, offset: what === 'begun' ? undefined : Number(what) };
}

/**
 * Those that follow each other without a gap from the first byte on. Of several with one offset the longest counts: a put
 * whose answer was lost is made again, with what has come meanwhile.
 */
function withoutGaps(pieces: Iterable<Piece>): Piece[] {
  const longest = new Map<number, Piece>();
  for (const piece of pieces)
    if (piece.bytes > (longest.get(piece.offset)?.bytes ?? 0)) longest.set(piece.offset, piece);
  const chain: Piece[] = [];
  for (let next = longest.get(0); next !== undefined; next = longest.get(next.offset + next.bytes)) chain.push(next);
  return chain;
}

const isPiece = (object: StoredObject): object is Piece => object.offset !== undefined;

/** What of this generation can be gone on with, by the list of all objects of its fetch. */
export function heldBy(generation: string, begun: Begun, objects: readonly StoredObject[]): Held {
  const named = new Set(begun.goesOnFrom);
  const ofIt = objects
    .filter(isPiece)
    .filter((piece) => piece.generation === generation || named.has(pieceName(piece)));
  const pieces = withoutGaps(ofIt);
  return { generation, begun, pieces, bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Without those that a later run has found to be of other content. */
export function withoutReplaced(held: readonly Held[]): Held[] {
  const replaced = new Set(held.flatMap(({ begun }) => begun.replaces ?? []));
  return held.filter(({ generation }) => !replaced.has(generation));
}

/** What is held without the piece of this key, and what is behind it. */
export const cutAt = (held: readonly Held[], key: string): Held[] =>
  held.map((one) => {
    const at = one.pieces.findIndex((piece) => piece.key === key);
    return at < 0 ? one : { ...one, pieces: one.pieces.slice(0, at), bytes: one.pieces[at]?.offset ?? 0 };
  });

/** Longest first. */
const byLength = (held: readonly Held[]): Held[] => held.toSorted((a, b) => b.bytes - a.bytes);

export type NextStep =
  | { readonly kind: 'compare'; readonly piece: Piece }
  /** For the file to be as long as what was kept earlier. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'put' };

/** What follows the first `kept` bytes of a file of `size`, where earlier runs `held` this of the same content. */
export function nextStep(held: readonly Held[], kept: number, size: number): NextStep {
  const [piece] = byLength(held).flatMap(({ pieces }) => pieces.find(({ offset }) => offset === kept) ?? []);
  if (!piece) return { kind: 'put' };
  return kept + piece.bytes > size ? { kind: 'wait' } : { kind: 'compare', piece };
}

/**
 * Of all objects of a fetch those of the generations `gone`, and of such as have lost their description. Spared is what a
 * generation that stays goes on from, and what is in `needed`, by its key.
 */
export function removable(
  { objects, held }: { readonly objects: readonly StoredObject[]; readonly held: readonly Held[] },
  gone: ReadonlySet<string>,
  needed: ReadonlySet<string>,
): StoredObject[] {
  const staying = held.filter(({ generation }) => !gone.has(generation));
  const generations = new Set(staying.map(({ generation }) => generation));
  const named = new Set(staying.flatMap(({ begun }) => begun.goesOnFrom));
  const isNamed = (object: StoredObject): boolean => isPiece(object) && named.has(pieceName(object));
  return objects.filter((object) => !generations.has(object.generation) && !isNamed(object) && !needed.has(object.key));
}

type Content = Pick<Begun, 'validators' | 'total'>;

/** As far as the origin tells. */
export const isSameContent = (one: Content, other: Content): boolean =>
  one.validators.etag === other.validators.etag &&
  one.validators.lastModified === other.validators.lastModified &&
  (one.total === undefined || other.total === undefined || one.total === other.total);

/** The content that was begun last is the one that the origin has; of that the most. */
export function bestOf(held: readonly Held[]): Held | undefined {
  const usable = held.filter(({ bytes, begun: { total } }) => bytes > 0 && (total === undefined || bytes <= total));
  const [newest] = usable.toSorted((a, b) => b.begun.startedAt - a.begun.startedAt);
  if (!newest) return undefined;
  return byLength(usable.filter(({ begun }) => isSameContent(begun, newest.begun)))[0];
}

/** A part in the own spool. */
export interface LocalPart extends Content {
  readonly bytes: number;
  readonly startedAt?: number;
}

/** Less than this more is not worth the way. */
const WORTH_BYTES = 256 * 1024;

/** Whether another worker's pieces are more than what the own spool has, or of a newer content. `differs`: both claim the same one, and hold other bytes. */
export function isWorthTaking(
  { bytes, begun }: Pick<Held, 'bytes' | 'begun'>,
  local: LocalPart | undefined,
  differs = false,
): boolean {
  if (local === undefined || local.bytes === 0) return bytes > 0;
  if (!differs && isSameContent(begun, local)) return bytes >= local.bytes + WORTH_BYTES;
  return begun.startedAt > (local.startedAt ?? 0);
}

/** `undefined`: it is none. */
export function readBegun(text: string): Begun | undefined {
  try {
    const value = JSON.parse(text) as Partial<Begun> | null;
    const isWhole = value?.validators && Number.isFinite(value.startedAt) && Array.isArray(value.goesOnFrom);
    return isWhole ? (value as Begun) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
