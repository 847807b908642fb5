/** What the intake needs, and what its parts share. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { Store } from '@khumbu/operations/kinds/store';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import type { ArchiveFormat } from '@khumbu/shared/locations/upload-location';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { Accept } from './accept.js';
import type { ReadDecideCommit } from './decision-loop.js';
import type { JudgeCertificate } from './judge-certificate.js';
import type { IsAbandoned } from './needed-workers.js';
import type { Reader } from './situation.js';

export interface IntakeDeps {
  /** Fails fast, and resends nothing. */
  readonly store: Store;
  /** The connection of the store. */
  readonly redis: Redis;
  readonly jobs: Jobs;
  /** As the stations file has it; `undefined`: not configured. */
  readonly profileOf: (station: string) => StationProfile | undefined;
  /** Two stations share the name. Only the leader notices; it is stored for the others. */
  readonly isInConflict: (station: string) => boolean;
  readonly locations: Pick<LocationPolicy, 'check'>;
  readonly judgeCertificate: JudgeCertificate;
  /** How long an allowed reset keeps installs away. */
  readonly resetReservationMs: number;
  /** No worker takes jobs from this queue. */
  readonly isAbandoned: IsAbandoned;
  /** How long the broker may keep a request whose answer is out, but not confirmed: its offer waits for that. */
  readonly redeliveryMs: number;
  /** How archives of logs are compressed; gzip by default. */
  readonly archiveFormat?: ArchiveFormat;
  readonly now: Now;
  readonly log: Logger;
}

export interface Parts extends IntakeDeps {
  readonly read: Reader;
  readonly readDecideCommit: ReadDecideCommit;
  readonly accept: Accept;
}
