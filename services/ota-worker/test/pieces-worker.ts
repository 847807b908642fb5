/** The downloads of one ota-worker with `FIRMWARE_STORE=s3`, in a spool of its own. */
import { createObjectStore, type ObjectStore } from '@khumbu/object-store/object-store';
import { OtaWorkerSettings } from '@khumbu/ota-worker/config';
import { createDownload } from '@khumbu/ota-worker/images/download';
import { createPieceStore, type PieceStore } from '@khumbu/ota-worker/pieces/piece-store';
import { loadConfig } from '@khumbu/shared/runtime/config';

export interface PiecesWorker {
  readonly download: ReturnType<typeof createDownload>;
  readonly objects: ObjectStore;
  readonly pieces: PieceStore;
  /** What was warned of, in order. */
  readonly warnings: readonly string[];
  /** What was told beside that. */
  readonly told: readonly string[];
  readonly spoolDir: string;
}

/** What a run still puts into the store as it ends is not cut off while the store is slow: tests count its bytes. */
const LAST_MS = 60_000;

export function piecesWorker(spoolDir: string, endpoint: string): PiecesWorker {
  const config = loadConfig(OtaWorkerSettings, {
    FIRMWARE_STORE: 's3',
    S3_ENDPOINT: endpoint,
    S3_ACCESS_KEY: 'S3RVER',
    S3_SECRET_KEY: 'S3RVER',
    S3_BUCKET: 'khumbu',
    SPOOL_DIR: spoolDir,
  });
  const objects = createObjectStore(config);
  const pieces = createPieceStore(objects, config.S3_BUCKET);
  const rules = { allowedSchemes: ['http'] as const, allowedHosts: [], allowLoopback: true };
  const warnings: string[] = [];
  const told: string[] = [];
  const log = {
    info: (_about: object, said: string) => void told.push(said),
    warn: (_about: object, said: string) => void warnings.push(said),
  };
  const download = createDownload({
    config,
    rules,
    objects,
    makeRoom: async () => 0,
    pieces: { store: pieces, log, lastMs: LAST_MS },
  });
  return { download, objects, pieces, warnings, told, spoolDir };
}
