/** Of the archives of logs that the depot keeps for itself, and of their collection. */
const keptLogKeys = (prefix: string) => ({
  /** An archive that the depot keeps, see `log-copies/copy-records.ts`; and sorted sets of all of them, those of a type, of a station. */
  logCopy: (id: string) => `${prefix}:log-copy:${id}`,
  logCopies: `${prefix}:log-copies`,
  logCopiesOfType: (type: string) => `${prefix}:log-copies:type:${type}`,
  logCopiesOf: (station: string) => `${prefix}:log-copies:of:${station}`,
  /** Hash: how many they are and how large, by type; and one of those that are on their way into the store. */
  logCopySums: `${prefix}:log-copies:sums`,
  logCopiesBegun: `${prefix}:log-copies:begun`,
  /** Hashes: the newest collection of logs; what of it is open; until when each station's logs were collected. */
  logCollection: `${prefix}:log-collection`,
  logCollectionOpen: `${prefix}:log-collection:open`,
  logCollected: `${prefix}:log-collection:until`,
});

const keysOfLogs = (prefix: string) => ({
  /** The key of pseudonyms in redacted logs, see `files/redaction-key.ts`. */
  redactionKey: `${prefix}:redaction-key`,
  /** Hash: multipart uploads of log-workers that are not over, see `services/log-worker/src/upload/shared-journal.ts`. */
  logParts: `${prefix}:log-parts`,
  /** List of live views of logs that no worker has taken up yet, see `log-views/messages.ts`. */
  logViews: `${prefix}:log-views`,
  /** Pub/sub channels of one view: what the worker sends, and what its reader says. */
  logView: (id: string) => `${prefix}:log-view:${id}`,
  logViewReader: (id: string) => `${prefix}:log-view:${id}:reader`,
});

/** Of webhooks, see `webhooks/webhook-store.ts`. */
const webhookKeys = (prefix: string) => ({
  /** Hash: webhooks; where each is in the stream of events; how much waits; dead letters dropped. */
  webhooks: `${prefix}:webhooks`,
  webhookPositions: `${prefix}:webhook-positions`,
  webhookWaiting: `${prefix}:webhook-waiting`,
  webhookDropped: `${prefix}:webhook-dropped`,
  /** Set of webhooks with stations that something waits for. */
  webhookBusy: `${prefix}:webhook-busy`,
  /** List of deliveries to a webhook that are of one station, oldest first. */
  webhookList: (webhook: string, station: string) => `${prefix}:webhook-list:${webhook}:${station}`,
  /** Hash of dead letters of a webhook, and the list of their ids, oldest first. */
  webhookDead: (webhook: string) => `${prefix}:webhook-dead:${webhook}`,
  webhookDeadOrder: (webhook: string) => `${prefix}:webhook-dead-order:${webhook}`,
});

/** In the place of a station: what concerns all of them. No station is called so. */
export const WHOLE_DEPOT = '';

/** Of the security log. */
const securityKeys = (prefix: string) => ({
  /** What is told to the security log, see `security-log/append-fact.ts`: a list of facts that are not chained yet, oldest first. */
  securityPending: `${prefix}:security:pending`,
  /** Hash: facts that came too often, counted. */
  securityCounted: `${prefix}:security:counted`,
  /** Begins the names of counts of such facts; they expire. */
  securityRate: `${prefix}:security:rate:`,
  /** Stream of chained entries, its ids their sequence; and of a station, or of `WHOLE_DEPOT`, those of the sequences alone. */
  securityChain: `${prefix}:security:chain`,
  securityOf: (station: string) => `${prefix}:security:of:${station}`,
  /** Hash: sequence and hash of the newest entry; and of the newest one that was removed. */
  securityHead: `${prefix}:security:head`,
  securityCheckpoint: `${prefix}:security:checkpoint`,
  /** Hash: keys and policies as they were told last, see `security-log/told-policy.ts`. */
  securityPolicies: `${prefix}:security:policies`,
});

/** Of the table of operations, see `records/operation-rows.ts`. */
const rowKeysFor = (index: string) => ({
  /** A string of rows. */
  rows: (block: string) => `${index}rows:${block}`,
  /** Hash: ids of operations by their rows. */
  rowIds: `${index}row-ids`,
  /** Hash: what changed each block last. Beside it `row-count`, how many rows there are, and `row-free`, a list of free ones. */
  rowMarks: `${index}row-marks`,
});

/** Every Redis key of ours, in one place. BullMQ has its own prefix beside these. */
export const keysFor = (prefix: string) => ({
  /** Hash: version, schema, commit, data; index, indexed: see `records/operation-index.ts`; row: see `records/operation-rows.ts`. */
  record: (id: string) => `${prefix}:record:${id}`,
  /** Hash: slots and what is known of the station, see `stations/station-state.ts`. */
  station: (station: string) => `${prefix}:station:${station}`,
  /** List of statuses EVerest has not been told yet, oldest first. */
  outbox: (station: string) => `${prefix}:outbox:${station}`,
  /** The stored answer to one request; expires. */
  answer: (station: string, key: string) => `${prefix}:answer:${station}:${key}`,
  /** Sorted set of ended records of a station by end time. */
  endedOf: (station: string) => `${prefix}:ended:${station}`,
  stations: `${prefix}:stations`,
  /** Sorted set of records that are not ended, by creation time. */
  open: `${prefix}:open`,
  /** Sorted set of all ended records of stations by end time. */
  ended: `${prefix}:ended`,
  /** Set of stations that have ended records, heard or not. */
  endedStations: `${prefix}:ended-stations`,
  /** Begins the names of the sorted sets by which operations are found, see `records/operation-index.ts`. */
  index: `${prefix}:index:`,
  ...rowKeysFor(`${prefix}:index:`),
  /** Sorted set of fetches that rest and hold an image, by end time. */
  fetches: `${prefix}:fetches`,
  /** Hash: what is known of an image that the depot holds, see `artifacts/artifact-records.ts`; kept for a while after. */
  artifact: (sha256: string) => `${prefix}:artifact:${sha256}`,
  /** Sorted set of where it came from, and one of the stations it was given to, by when that was last. */
  artifactSources: (sha256: string) => `${prefix}:artifact-sources:${sha256}`,
  artifactStations: (sha256: string) => `${prefix}:artifact-stations:${sha256}`,
  /** Sorted set of the images that the depot holds, by when they came. */
  artifacts: `${prefix}:artifacts`,
  /** Set of those that were brought in by hand, and a hash of them by the locations they are used for. */
  broughtArtifacts: `${prefix}:brought-artifacts`,
  broughtLocations: `${prefix}:brought-locations`,
  /** Hash: files of import folders, see `artifacts/imports.ts`. */
  imports: `${prefix}:imports`,
  /** Hash: spool folders of ota-workers, by their ids, with when they were told. */
  spools: `${prefix}:spools`,
  /** The key of signed URLs. */
  urlKey: `${prefix}:url-key`,
  /** Set of stations whose outbox may hold something. */
  outboxes: `${prefix}:outboxes`,
  /** Stream of everything that changed. */
  events: `${prefix}:events`,
  /** Stream of bytes gone by; short, never replayed. */
  progressEvents: `${prefix}:progress-events`,
  /** The last word on the bytes of a fetch or an upload; expires. */
  progress: (subject: string) => `${prefix}:progress:${subject}`,
  /** What REST answered to an idempotency key; expires. */
  restAnswer: (hash: string) => `${prefix}:rest-answer:${hash}`,
  /** The session of a browser, by the hash of its id; expires. */
  session: (hash: string) => `${prefix}:session:${hash}`,
  /** The API key that a code signs in with, by the hash of the code; expires. */
  signInCode: (hash: string) => `${prefix}:sign-in-code:${hash}`,
  /** A message that came again is being read by a leader; expires. */
  redelivered: (hash: string) => `${prefix}:redelivered:${hash}`,
  /** Hash: the last look at a station before use, see `driver-checks/driver-checks.ts`; expires. */
  driverCheck: (station: string) => `${prefix}:driver-check:${station}`,
  /** A worker is looking at a host; expires. */
  observing: (station: string) => `${prefix}:observing:${station}`,
  ...keptLogKeys(prefix),
  ...webhookKeys(prefix),
  lease: `${prefix}:lease`,
  /** Hash: counts that move while a queue is worked on. */
  beats: `${prefix}:beats`,
  /** Hash: how the files of each process do; expires when none is left. */
  files: `${prefix}:files`,
  /** Hash: who has paused all downloads, and since when; see `wan/wan-store.ts`. */
  wan: `${prefix}:wan`,
  /** Hash: bytes of a month over the WAN, and its budget; expires. */
  wanMonth: (month: string) => `${prefix}:wan:month:${month}`,
  /** Hash: bytes that running fetches have still to come; expires. */
  wanReserved: `${prefix}:wan:reserved`,
  /** When the link is free again, see `wan/link-schedule.ts`; expires. */
  wanSchedule: `${prefix}:wan:schedule`,
  /** Until when a server has asked for peace; expires. */
  wanQuiet: (hash: string) => `${prefix}:wan:quiet:${hash}`,
  /** When a fetch may begin; expires. */
  wanStart: (fetchId: string) => `${prefix}:wan:start:${fetchId}`,
  /** Bytes that have come for one generation of a fetch; expires. */
  wanBrought: (fetchId: string, createdAt: number, generation: number) =>
    `${prefix}:wan:brought:${fetchId}:${createdAt}:${generation}`,
  ...securityKeys(prefix),
  /** The monotonic reading of the depot's clock, see `clock/depot-clock.ts`. */
  clock: `${prefix}:clock`,
  /** Hash: the date by which days of retention are counted, see `clock/retention-date.ts`. */
  retentionDate: `${prefix}:retention-date`,
  /** Pub/sub channel; a notification may be lost, nothing depends on it but speed. */
  notifications: `${prefix}:hints`,
  /** Pub/sub channel of one question for the MQTT frames of a station: its answer. */
  mqttFrames: (id: string) => `${prefix}:mqtt-frames:${id}`,
  ...keysOfLogs(prefix),
  jobs: `${prefix}-jobs`,
});
export type Keys = Readonly<ReturnType<typeof keysFor>>;

/** The field of a station that names the operation which has its slot for a kind; it may have ended. */
export const slotField = (kind: string): string => `slot:${kind}`;
