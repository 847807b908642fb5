/**
 * The stations file: which station is reached how, and what is allowed on it. YAML, reloaded on change. A station that
 * is not in it is refused, unless `unknown_stations: simulated` makes every station a simulated one.
 */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import type { Mismatch } from '../contract/codec.js';
import { type CertificateLeaf, EVSE_SECURITY } from '../contract/topics.js';
import { CodedError, describeError } from '../runtime/errors.js';
import { type FileReports, followFile, textOf } from '../runtime/followed-file.js';
import { readYaml } from '../runtime/structured-text.js';
import { conditional } from './conditional.js';
import { driverMismatch, mergedDriver, redactMismatch, wholeDriver } from './driver-defaults.js';
import { Driver, type DriverEntry, DriverPart, driverName } from './driver-entry.js';

const closed = { additionalProperties: false } as const;

/**
 * From EVerest's first heartbeat to an accepted BootNotification, with some to spare: until then OCPP 2.x drops statuses.
 * OCPP 2.0.1 B01.FR.08.
 */
const SETTLE_MS = 30_000;

/** 366 days: a clock that was left alone for a season is put right; a time that is years off is rather a mistake. */
const LARGEST_STEP_S = 31_622_400;

const Count = (description: string, limits: { minimum?: number; maximum?: number } = {}) =>
  Type.Optional(Type.Integer({ minimum: 0, ...limits, description }));

const Simulated = Type.Object(
  {
    install_ms: Count('How long an install takes; default 1000.'),
    reboot_ms: Count('How long a reboot takes; default 1000.'),
    reboot: Type.Optional(Type.Boolean({ description: 'Whether an image takes effect by a reboot; default true.' })),
    log_interval_ms: Count('A log record each; default 10000.', { minimum: 1 }),
    log_record_bytes: Count('Size of a log record; default 160.', { minimum: 64 }),
    log_history_s: Count('Age of the first record; default 86400.'),
    fail: Type.Optional(
      Type.Object(
        {
          install: Type.Optional(Type.Enum(['failed', 'verification_failed', 'fallback', 'hang'])),
          reboot: Type.Optional(Type.Enum(['hang'])),
          logs: Type.Optional(Type.Enum(['unavailable', 'midway'])),
          clock: Type.Optional(Type.Enum(['refused'])),
          network: Type.Optional(Type.Enum(['failed'])),
        },
        { ...closed, description: 'What goes wrong at the simulated station, until it is taken out again.' },
      ),
    ),
  },
  closed,
);
export type SimulatedSettings = Static<typeof Simulated>;

const Clock = Type.Object(
  {
    largest_step_s: Count(
      'Seconds: a clock that is off by more is set only over REST, unless it shows a time before 2024, as one that was never set; default 31622400 (366 days).',
    ),
    slew_below_s: Count(
      'Seconds: a clock that is off by no more runs faster or slower until it is right, where the station can do that, and is stepped otherwise; 0: always stepped; default 5.',
      { maximum: 2000 },
    ),
  },
  { ...closed, description: 'How the clock is put right.' },
);

const EvseSecurity = Type.Object(
  {
    module_id: Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: '^[^/+#]+$',
      description: 'The id of its evse_security_consumer_API module.',
    }),
    leaves: Type.Optional(
      Type.Array(Type.Enum([...EVSE_SECURITY.leaves]), {
        minItems: 1,
        uniqueItems: true,
        description: 'Kinds of certificates that are asked for; default all.',
      }),
    ),
    answer_within_s: Count(
      'Seconds from the first heartbeat after a reboot in which the store has to answer as before; default 120.',
      { minimum: 1, maximum: 1800 },
    ),
  },
  {
    ...closed,
    description:
      'Before Installed: whether the certificate store of EVerest answers as before the update. Absent: not asked.',
  },
);

const LABEL_NAME = '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$';
const LABEL_VALUE = '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$';
/** The name of a label, and what a label or a type may be. */
export const LabelName = Type.String({ pattern: LABEL_NAME });
export const LabelValue = Type.String({ pattern: LABEL_VALUE });

/** Names as people give them to groups: of a site, a row, a make. */
const Labels = Type.Record(LabelName, LabelValue, {
  ...closed,
  description:
    'Names of groups it belongs to, as site: north; what is done with many stations is done with those of a label. Those of the defaults count too, key by key.',
});

const Station = Type.Object(
  {
    driver: Type.Optional(DriverPart),
    labels: Type.Optional(Labels),
    type: Type.Optional(
      Type.String({
        pattern: LABEL_VALUE,
        description: 'What it is, as its maker calls it: dc-180. Filters choose by it.',
      }),
    ),
    dialect: Type.Optional(Type.Enum(['ocpp1.6', 'ocpp2.x', 'unknown'])),
    ocpp: Type.Optional(Type.Boolean({ description: 'false: no OCPP there, so no permission is waited for.' })),
    announce: Type.Optional(Type.Boolean({ description: 'Tell EVerest of updates that REST asked for.' })),
    require_signature: Type.Optional(Type.Boolean({ description: 'Refuse unsigned images.' })),
    certificate: Type.Optional(Type.Enum(['chain', 'any'])),
    interfaces: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Interface of each interface class.' }),
    ),
    clock: Type.Optional(Clock),
    evse_security: Type.Optional(EvseSecurity),
    settle_ms: Count('Pause between the first heartbeat of a boot and the first status, without OCPP evidence.'),
    ready_status: Type.Optional(
      Type.Enum(['before-install', 'at-once'], {
        description:
          'When EVerest hears the status on which it takes connectors out of use, if the update is to be installed at a later date.',
      }),
    ),
    ready_lead_s: Count('Seconds before that date at which it hears it; default 60.', { maximum: 86_400 }),
    log_failure_status: Type.Optional(Type.Enum(['last', 'per-attempt'])),
    simulated: Type.Optional(Simulated),
  },
  closed,
);
type StationEntry = Static<typeof Station>;

/** Without a driver among the defaults, that of each station is whole by itself. */
const wholeDrivers = conditional(
  {
    required: ['defaults'],
    properties: { defaults: { required: ['driver'], properties: { driver: { type: 'object' } } } },
  },
  {},
  { properties: { stations: { additionalProperties: { properties: { driver: Driver } } } } },
);

/** Published as a JSON schema for editors: docs/stations.schema.json. */
export const StationsFile = Type.Object(
  {
    unknown_stations: Type.Optional(Type.Enum(['refuse', 'simulated'])),
    defaults: Type.Optional(Station),
    stations: Type.Optional(Type.Record(Type.String(), Station)),
  },
  { ...closed, allOf: [wholeDrivers] },
);
type StationsFileContent = Static<typeof StationsFile>;

export type Dialect = NonNullable<StationEntry['dialect']>;

/** How a station's clock may be put right, in milliseconds. */
export interface ClockPolicy {
  /** The largest step without a person. */
  readonly largestStepMs: number;
  /** What is off by no more is slewed, where that can be done. */
  readonly slewBelowMs: number;
}

/** Which certificates of EVerest's certificate store have to be there after an update as before it. */
export interface CertificateQuestions {
  readonly moduleId: string;
  readonly leaves: readonly CertificateLeaf[];
  /** From the first heartbeat after the reboot. */
  readonly answerWithinMs: number;
}

/** What is known about a configured station, every default filled in. */
export interface StationProfile {
  readonly station: string;
  /** What people read: `simulated`, `ssh/command`, the name of a package. */
  readonly driver: string;
  /** Groups it belongs to. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What it is, as its maker calls it. */
  readonly type?: string;
  /** How a real one is reached and acted upon. */
  readonly driverEntry?: Exclude<DriverEntry, 'simulated'>;
  /** `unknown` may be learned from the station's messages. */
  readonly dialect: Dialect;
  readonly ocpp: boolean;
  readonly announce: boolean;
  readonly requireSignature: boolean;
  readonly certificate: 'chain' | 'any';
  /** Interface class to interface name; `undefined`: networks are not configured there. */
  readonly interfaces?: Readonly<Record<string, string>>;
  readonly clock: ClockPolicy;
  /** Absent: its certificate store is not asked. */
  readonly certificateStore?: CertificateQuestions;
  /** From the first heartbeat of a boot that we caused to the status after it, where it is not known that OCPP is up. */
  readonly settleMs: number;
  /** When the status that an image for a later date is ready is published, which takes connectors out of use. */
  readonly readyStatus: 'before-install' | 'at-once';
  readonly readyLeadMs: number;
  readonly logFailureStatus: 'last' | 'per-attempt';
  readonly simulated: SimulatedSettings;
}

export interface StationDirectory {
  /** `undefined`: not in the stations file; the station is listed, answered fail-closed and never touched. */
  profileOf(station: string): StationProfile | undefined;
  configured(): readonly string[];
  close(): void;
}

/** The first station whose driver is not whole with what the defaults have. */
function firstBrokenDriver({ defaults, stations = {} }: StationsFileContent): Mismatch | undefined {
  const redact = defaults?.driver && redactMismatch(defaults.driver);
  if (redact) {
    return { ...redact, path: ['defaults', 'driver', ...redact.path], text: `/defaults/driver${redact.text}` };
  }
  for (const [station, { driver }] of Object.entries(stations)) {
    const part = mergedDriver(defaults?.driver, driver);
    const found = part && driverMismatch(part);
    if (!found) continue;
    const at = ['stations', station, 'driver'];
    const place = `/${at.join('/')}${found.text.replace(/^\/ /, ' ')}`;
    return { ...found, path: [...at, ...found.path], text: `${place} (defaults.driver is counted in)` };
  }
  return undefined;
}

const readContent = (text: string): StationsFileContent => readYaml(text, StationsFile, firstBrokenDriver);

/** Read the text of a stations file. Throws `STATIONS_FILE_INVALID` that says where. */
export function parseStationsFile(text: string): StationsFileContent {
  try {
    return readContent(text);
  } catch (error) {
    throw new CodedError('STATIONS_FILE_INVALID', `stations file: ${describeError(error)}`, { cause: error });
  }
}

const certificateQuestions = ({ evse_security: store }: StationEntry): CertificateQuestions | undefined =>
  store && {
    moduleId: store.module_id,
    leaves: store.leaves ?? EVSE_SECURITY.leaves,
    answerWithinMs: (store.answer_within_s ?? 120) * 1000,
  };

export function profileFrom(file: StationsFileContent, station: string): StationProfile | undefined {
  const listed = file.stations && Object.hasOwn(file.stations, station) ? file.stations[station] : undefined;
  if (!listed && file.unknown_stations !== 'simulated') return undefined;
  const entry: StationEntry = { ...file.defaults, ...listed };
  const simulated = { ...file.defaults?.simulated, ...listed?.simulated };
  const labels = { ...file.defaults?.labels, ...listed?.labels };
  // Where everybody is simulated, so is one that is listed for something else; a real driver is only for those listed.
  const everybody = file.unknown_stations === 'simulated' ? 'simulated' : undefined;
  const driver = (listed && wholeDriver(file.defaults?.driver, listed.driver)) ?? everybody;
  if (!driver) return undefined;
  const certificateStore = certificateQuestions(entry);
  return {
    station,
    driver: driverName(driver),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(entry.type === undefined ? {} : { type: entry.type }),
    ...(driver === 'simulated' ? {} : { driverEntry: driver }),
    dialect: entry.dialect ?? 'unknown',
    ocpp: entry.ocpp ?? true,
    announce: entry.announce ?? true,
    requireSignature: entry.require_signature ?? driver !== 'simulated',
    certificate: entry.certificate ?? (driver === 'simulated' ? 'any' : 'chain'),
    ...(entry.interfaces ? { interfaces: entry.interfaces } : {}),
    clock: {
      largestStepMs: (entry.clock?.largest_step_s ?? LARGEST_STEP_S) * 1000,
      slewBelowMs: (entry.clock?.slew_below_s ?? 5) * 1000,
    },
    ...(certificateStore ? { certificateStore } : {}),
    settleMs: entry.settle_ms ?? (driver === 'simulated' ? 0 : SETTLE_MS),
    readyStatus: entry.ready_status ?? 'before-install',
    readyLeadMs: (entry.ready_lead_s ?? 60) * 1000,
    logFailureStatus: entry.log_failure_status ?? 'last',
    simulated,
  };
}

/** Nothing but comments and white space is what is left of a file whose rest was lost. */
const hasNothing = (text: string): boolean =>
  text.split(/\r\n|\n|\r/).every((line) => /^\s*(?:#.*|---|\.\.\.)?$/.test(line.trimEnd()));

/** Reads each content in turn. Throws `TEXT_INVALID`, also for one without anything after one with something. */
function readStations(): (bytes: Buffer) => StationsFileContent {
  let hadSomething = false;
  return (bytes) => {
    const text = textOf(bytes);
    const file = readContent(text);
    if (hasNothing(text) && hadSomething)
      throw new CodedError('TEXT_INVALID', 'there is nothing but comments in it: write {} for none');
    hadSomething = !hasNothing(text);
    return file;
  };
}

/** Each entry by a hash of it: which of them have changed is told, not what they say. */
const stationLines = ({ stations = {}, ...rest }: StationsFileContent): string[] =>
  Object.entries({ ...stations, '(all others)': rest }).map(
    ([station, entry]) => `${station} ${createHash('sha256').update(JSON.stringify(entry)).digest('hex').slice(0, 8)}`,
  );

/**
 * Open the stations file and follow its changes. A change that cannot be read keeps the last good content and is
 * reported. Without a file no station is configured. Throws `STATIONS_FILE_INVALID` for a bad file at the start.
 */
export function openStationDirectory(path: string | undefined, reports: FileReports, onChange?: () => void) {
  const followed =
    path === undefined
      ? undefined
      : followFile({
          setting: 'STATIONS_FILE',
          path,
          read: readStations(),
          code: 'STATIONS_FILE_INVALID',
          nothing: '{}',
          summary: stationLines,
          reports,
          onChange,
        });
  const file = (): StationsFileContent => followed?.current() ?? {};
  return {
    profileOf: (station: string): StationProfile | undefined => profileFrom(file(), station),
    configured: (): readonly string[] => Object.keys(file().stations ?? {}),
    /** It is named in the file; `unknown_stations: simulated` makes no station so. */
    isConfigured: (station: string): boolean => Object.hasOwn(file().stations ?? {}, station),
    close: (): void => followed?.close(),
  };
}
/** The directory as a file has it. */
export type OpenStationDirectory = ReturnType<typeof openStationDirectory>;

/** The code and the words for a station that was removed from the stations file while an operation was under way. */
export const notConfigured = (): CodedError =>
  new CodedError('STATION_NOT_CONFIGURED', 'the station is not in the stations file any more');

/** Rejects what `profileOf` does not know with `notConfigured`. */
export function requireProfile(profile: StationProfile | undefined): StationProfile {
  if (!profile) throw notConfigured();
  return profile;
}
