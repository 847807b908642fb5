/**
 * Removes from the object store images that nobody names any more, and the oldest ones when all together are too many
 * bytes. Other workers may be reading and adding meanwhile: each removal is announced (`removeArtifact`), and a worker that
 * reads one has a copy of its own.
 */
import type { Artifact, ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import type { HeldBytes } from './place.js';
import { type RemovalDeps, removeArtifact } from './remove-artifact.js';

/** Younger ones may belong to a fetch that has not stored its record yet. */
const YOUNG_MS = 3600_000;

/** Times in milliseconds since 1970. */
export interface StoreSweepRules {
  readonly now: number;
  /** All together; 0: as many as there are. */
  readonly maxBytes: number;
  /** SHA-256 of what records name: those that fetches hold, and those that updates under way need. */
  readonly named: ReadonlySet<string>;
  /** Of what was brought in by hand, or is needed now: never removed. */
  readonly kept: ReadonlySet<string>;
}

export interface SweptImage extends HeldBytes {
  /** When an update was given it last. */
  readonly usedAt: number;
}

/** Which of them go, in this order. Pure. */
function whatGoes(images: readonly SweptImage[], { now, maxBytes, named, kept }: StoreSweepRules): string[] {
  const age = ({ at, usedAt }: SweptImage): number => now - Math.max(at, usedAt);
  const free = images.filter((image) => !kept.has(image.sha256) && age(image) >= YOUNG_MS);
  const unnamed = free.filter(({ sha256 }) => !named.has(sha256));
  let bytes = [...images].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { sizeBytes } of unnamed) bytes -= sizeBytes;
  const going = unnamed.map(({ sha256 }) => sha256);
  if (maxBytes === 0) return going;
  const rest = free.filter(({ sha256 }) => named.has(sha256)).sort((a, b) => age(b) - age(a));
  for (const { sha256, sizeBytes } of rest) {
    if (bytes <= maxBytes) break;
    going.push(sha256);
    bytes -= sizeBytes;
  }
  return going;
}

export interface StoreSweepDeps extends RemovalDeps {
  readonly list: () => Promise<readonly HeldBytes[]>;
  readonly records: RemovalDeps['records'] & Pick<ArtifactRecords, 'load' | 'brought'>;
  readonly namedImages: () => Promise<ReadonlySet<string>>;
  readonly neededImages: () => Promise<ReadonlySet<string>>;
  readonly now: () => number;
  readonly maxBytes: number;
}

/** Resolves with the number of objects removed. Safe to repeat, and for many workers at once. */
export async function sweepStore(deps: StoreSweepDeps, signal: AbortSignal): Promise<number> {
  const { records, maxBytes } = deps;
  // Listed first: what comes later is young.
  const images = await deps.list();
  const known = new Map<string, Artifact>();
  for (const artifact of await records.load(
    images.map(({ sha256 }) => sha256),
    0,
  ))
    known.set(artifact.sha256, artifact);
  const [named, needed, brought] = await Promise.all([deps.namedImages(), deps.neededImages(), records.brought()]);
  const rules = { now: deps.now(), maxBytes, named, kept: new Set([...needed, ...brought]) };
  const swept = images.map((image) => ({ ...image, usedAt: known.get(image.sha256)?.lastUsedAt ?? 0 }));
  // Somebody may have brought one in since; who does so later waits for the end of the removal.
  const isKept = async (sha256: string): Promise<boolean> => (await records.brought()).has(sha256);
  let removed = 0;
  for (const sha256 of whatGoes(swept, rules))
    if ((await removeArtifact({ ...deps, isKept }, sha256, signal)).kind === 'removed') removed += 1;
  return removed;
}
