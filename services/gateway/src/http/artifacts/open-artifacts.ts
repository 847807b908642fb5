/** What the gateway knows of artefacts, and how it reaches their bytes, from its settings. */
import type { ArtifactPlace } from '@khumbu/artifacts/place';
import { createUrlSigner } from '@khumbu/artifacts/signed-urls';
import { spoolObstacle } from '@khumbu/artifacts/spool-id';
import { spoolPlace } from '@khumbu/artifacts/spool-place';
import { storePlace } from '@khumbu/artifacts/store-place';
import { openObjectStore } from '@khumbu/object-store/object-store';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { createNeededBy } from '@khumbu/operations/artifacts/needed-by';
import type { Store } from '@khumbu/operations/kinds/store';
import { ignoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import type { Redis } from 'ioredis';
import type { GatewayConfig } from '../../config.js';
import type { Artifacts } from './artifacts.js';

/** Of the settings, what concerns artefacts. */
export type ArtifactConfig = Pick<
  GatewayConfig,
  | 'ALLOW_PKCS1_SIGNATURES'
  | 'SPOOL_DIR'
  | 'FIRMWARE_STORE'
  | 'MAX_FIRMWARE_BYTES'
  | 'MIN_FIRMWARE_BYTES'
  | 'IGNORED_LOCATION_PARAMETERS'
  | 'IGNORED_LOCATION_PARAMETERS_BY_HOST'
  | 'ARTIFACT_URL_S'
  | 'S3_ENDPOINT'
  | 'S3_PUBLIC_ENDPOINT'
  | 'S3_REGION'
  | 'S3_BUCKET'
  | 'S3_ACCESS_KEY'
  | 'S3_SECRET_KEY'
>;

export interface ArtifactParts {
  readonly config: ArtifactConfig;
  /** Fails fast. */
  readonly redis: Redis;
  readonly store: Store;
  /** The depot's time, milliseconds since 1970. */
  readonly now: () => number;
}

const STALL_MS = 10_000;
const NO_STORE = 'FIRMWARE_STORE is s3, and this gateway has no S3_ENDPOINT';

function openPlace({ config, redis, store }: ArtifactParts): ArtifactPlace {
  const { SPOOL_DIR: spoolDir, FIRMWARE_STORE: kept, S3_BUCKET: bucket } = config;
  if (kept === 'spool') return spoolPlace(spoolDir, () => spoolObstacle(redis, store.keys, spoolDir));
  const objects = openObjectStore(config, { stallMs: STALL_MS });
  return objects ? storePlace(objects, bucket) : spoolPlace(spoolDir, async () => NO_STORE);
}

/** Throws `CONFIG_INVALID` for ignored parameters that cannot be read. */
export function openArtifacts(parts: ArtifactParts): Artifacts {
  const { config, redis, store, now } = parts;
  const place = openPlace(parts);
  const records = createArtifactRecords(redis, store.keys, now);
  const ignored = ignoredParameters(config);
  return {
    records,
    place,
    takeIn: {
      place,
      records,
      spoolDir: config.SPOOL_DIR,
      minBytes: config.MIN_FIRMWARE_BYTES,
      maxBytes: config.MAX_FIRMWARE_BYTES,
      allowPkcs1: config.ALLOW_PKCS1_SIGNATURES,
    },
    neededBy: createNeededBy(store, records, ignored),
    signer: createUrlSigner(redis, store.keys, now),
    ignored,
    urlSeconds: config.ARTIFACT_URL_S,
  };
}
