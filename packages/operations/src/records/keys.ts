/** Every Redis key of ours, in one place. BullMQ has its own prefix beside these. */
export interface Keys {
  readonly record: (id: string) => string;
  readonly station: (station: string) => string;
  readonly outbox: (station: string) => string;
  readonly answer: (station: string, key: string) => string;
  readonly endedOf: (station: string) => string;
  readonly stations: string;
  readonly open: string;
  readonly ended: string;
  readonly endedStations: string;
  readonly index: string;
  readonly fetches: string;
  readonly outboxes: string;
  readonly events: string;
  readonly progressEvents: string;
  readonly progress: (subject: string) => string;
  readonly restAnswer: (hash: string) => string;
  readonly redelivered: (hash: string) => string;
  readonly lease: string;
  readonly beats: string;
  readonly files: string;
  readonly clock: string;
  readonly notifications: string;
  readonly jobs: string;
}

export const keysFor = (prefix: string): Keys => ({
  /** Hash: version, schema, commit, data; index, indexed: see `records/operation-index.ts`. */
  record: (id) => `${prefix}:record:${id}`,
  /** Hash: slots and what is known of the station, see `stations/station-state.ts`. */
  station: (station) => `${prefix}:station:${station}`,
  /** List of statuses EVerest has not been told yet, oldest first. */
  outbox: (station) => `${prefix}:outbox:${station}`,
  /** The stored answer to one request; expires. */
  answer: (station, key) => `${prefix}:answer:${station}:${key}`,
  /** Sorted set of ended records of a station by end time. */
  endedOf: (station) => `${prefix}:ended:${station}`,
  stations: `${prefix}:stations`,
  /** Sorted set of records that are not ended, by creation time. */
  open: `${prefix}:open`,
  /** Sorted set of all ended records of stations by end time. */
  ended: `${prefix}:ended`,
  /** Set of stations that have ended records, heard or not. */
  endedStations: `${prefix}:ended-stations`,
  /** Begins the names of the sorted sets by which operations are found, see `records/operation-index.ts`. */
  index: `${prefix}:index:`,
  /** Sorted set of fetches that rest and hold an image, by end time. */
  fetches: `${prefix}:fetches`,
  /** Set of stations whose outbox may hold something. */
  outboxes: `${prefix}:outboxes`,
  /** Stream of everything that changed. */
  events: `${prefix}:events`,
  /** Stream of bytes gone by; short, never replayed. */
  progressEvents: `${prefix}:progress-events`,
  /** The last word on the bytes of a fetch or an upload; expires. */
  progress: (subject) => `${prefix}:progress:${subject}`,
  /** What REST answered to an idempotency key; expires. */
  restAnswer: (hash) => `${prefix}:rest-answer:${hash}`,
  /** A message that came again is being read by a leader; expires. */
  redelivered: (hash) => `${prefix}:redelivered:${hash}`,
  lease: `${prefix}:lease`,
  /** Hash: counts that move while a queue is worked on. */
  beats: `${prefix}:beats`,
  /** Hash: how the files of each process do; expires when none is left. */
  files: `${prefix}:files`,
  /** The monotonic reading of the depot's clock, see `clock/depot-clock.ts`. */
  clock: `${prefix}:clock`,
  /** Pub/sub channel; a hint may be lost, nothing depends on it but speed. */
  notifications: `${prefix}:hints`,
  jobs: `${prefix}-jobs`,
});

/** The field of a station that names the operation which has its slot for a kind; it may have ended. */
export const slotField = (kind: string): string => `slot:${kind}`;
