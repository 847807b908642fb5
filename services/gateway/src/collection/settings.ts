/** The settings of the scheduled collection of logs. */
import { optionalText } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type Static, type TObject, Type } from 'typebox';

const LABEL = '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?=[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$';

export const COLLECTION_SETTINGS = {
  LOG_COLLECTION_AT: optionalText(
    'Time of day at which logs are collected into the object store, as 02:30, by the clock of DEPOT_TIME_ZONE; not set: never.',
    '^([01]\\d|2[0-3]):[0-5]\\d$',
  ),
  LOG_COLLECTION_LABELS: Type.Array(Type.String({ pattern: LABEL }), {
    default: [],
    description:
      'Comma-separated labels, as site=north, all of which a station must have to be collected from; empty: every configured station.',
  }),
  LOG_COLLECTION_TYPES: Type.Array(Type.Enum(['DiagnosticsLog', 'SecurityLog']), {
    default: ['DiagnosticsLog'],
    minItems: 1,
    uniqueItems: true,
    description: 'Comma-separated types that are collected: DiagnosticsLog, SecurityLog.',
  }),
  LOG_COLLECTION_SPREAD_S: Type.Integer({
    default: 1800,
    minimum: 0,
    maximum: 43_200,
    description: 'Seconds after LOG_COLLECTION_AT within which the stations begin, each always at the same time.',
  }),
  LOG_COLLECTION_AT_ONCE: Type.Integer({
    default: 4,
    minimum: 1,
    maximum: 1000,
    description: 'Archives that are collected at once.',
  }),
} as const;

const Settings: TObject<typeof COLLECTION_SETTINGS> = Type.Object(COLLECTION_SETTINGS);
type Configured = Readonly<Static<typeof Settings>> & {
  readonly DEPOT_TIME_ZONE: string;
  readonly S3_ENDPOINT?: string | undefined;
  readonly S3_BUCKET: string;
};

export type CollectedType = 'DiagnosticsLog' | 'SecurityLog';

export interface CollectionRules {
  /** As `02:30`. */
  readonly at: string;
  readonly timeZone: string;
  /** All of them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly types: readonly CollectedType[];
  readonly spreadMs: number;
  readonly atOnce: number;
  readonly bucket: string;
}

/** `undefined`: nothing is collected. Throws `CONFIG_INVALID` where there is no store to collect into. Pure. */
export function collectionRules(config: Configured): CollectionRules | undefined {
  const { LOG_COLLECTION_AT: at } = config;
  if (at === undefined) return undefined;
  if (config.S3_ENDPOINT === undefined)
    throw new CodedError(
      'CONFIG_INVALID',
      'LOG_COLLECTION_AT: logs are collected into the object store; set S3_ENDPOINT',
    );
  const pairs = config.LOG_COLLECTION_LABELS.map((label) => label.split('=') as [string, string]);
  return {
    at,
    timeZone: config.DEPOT_TIME_ZONE,
    labels: Object.fromEntries(pairs),
    types: config.LOG_COLLECTION_TYPES,
    spreadMs: config.LOG_COLLECTION_SPREAD_S * 1000,
    atOnce: config.LOG_COLLECTION_AT_ONCE,
    bucket: config.S3_BUCKET,
  };
}

/** Pure. */
export const hasLabels = (wanted: CollectionRules['labels'], labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
