/** The artefacts of the depot as the routes see them. */
import type { ArtifactPlace } from '@khumbu/artifacts/place';
import type { UrlSigner } from '@khumbu/artifacts/signed-urls';
import type { TakeInDeps } from '@khumbu/artifacts/take-in';
import type { Artifact, ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import type { ArtifactSchema } from '@khumbu/rest-contract/artifacts';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Static } from 'typebox';
import { reading } from '../inventory.js';
import { Problem } from '../problems.js';

export interface Artifacts {
  /** Over the connection for reading. */
  readonly records: ArtifactRecords;
  readonly place: ArtifactPlace;
  /** What uploads go through. */
  readonly takeIn: TakeInDeps;
  readonly neededBy: (sha256: string) => Promise<readonly string[]>;
  readonly signer: UrlSigner;
  readonly ignored: IgnoredParameters;
  /** For how long a signed URL works where the request does not say. */
  readonly urlSeconds: number;
}

type ArtifactView = Static<typeof ArtifactSchema>;

/** Pure. */
export function artifactView(artifact: Artifact): ArtifactView {
  const { isBrought, addedAt, firstUsedAt, lastUsedAt, sources, stations, ...same } = artifact;
  return {
    ...same,
    addedAt: rfc3339(addedAt),
    broughtIn: isBrought,
    sources: sources.map(({ at, ...source }) => ({ ...source, at: rfc3339(at) })),
    stations: [...stations],
    ...(firstUsedAt === undefined ? {} : { firstUsedAt: rfc3339(firstUsedAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: rfc3339(lastUsedAt) }),
  };
}

/** Rejects with `ARTIFACT_UNKNOWN`. */
export async function requireArtifact({ records }: Pick<Artifacts, 'records'>, sha256: string): Promise<Artifact> {
  const found = await reading(() => records.find(sha256))();
  if (!found) throw new Problem('ARTIFACT_UNKNOWN');
  return found;
}

/** What the place says, as a problem: of the file system or of the object store. */
export async function atPlace<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem || error instanceof TypeError) throw error;
    throw new Problem('ARTIFACT_STORE_UNREACHABLE', describeError(error), {}, { cause: error });
  }
}

/** Rejects with `ARTIFACT_ELSEWHERE` where this gateway does not see the bytes. */
export async function requireBytes({ place }: Pick<Artifacts, 'place'>): Promise<void> {
  const obstacle = await atPlace(() => place.obstacle());
  if (obstacle !== undefined) throw new Problem('ARTIFACT_ELSEWHERE', `${obstacle}.`);
}
