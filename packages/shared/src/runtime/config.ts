/**
 * Settings from the environment, by schema. Read once in a service's `main`, passed down frozen. A wrong value stops
 * the start with a message that names the variable and never repeats the value. `NAME_FILE` may stand for `NAME`: the
 * path of a file that holds the value, as containers and service managers hand over secrets.
 */
import { readFileSync } from 'node:fs';
import { type Static, type TObject, type TProperties, Type } from 'typebox';
import { mismatch } from '../contract/codec.js';
import { CodedError } from './errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the text of a variable can be read as what its schema wants; text stays text when it cannot. */
function coerce(schema: Record<string, unknown>, text: string): unknown {
  switch (schema.type) {
    case 'integer':
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    case 'array':
      return text === '' ? [] : text.split(',').map((part) => part.trim());
    default:
      return text;
  }
}

const describe = (schema: Record<string, unknown>): string =>
  typeof schema.description === 'string' ? schema.description : 'it must be set';

/**
 * The text of a variable, given as it is or by its file, without the line end that editors put there; `text` is absent when
 * neither is set.
 */
function textOf(name: string, env: Environment, names: ReadonlySet<string>): { text?: string; problem?: string } {
  const text = env[name];
  // A setting of its own, such as a certificate's path, is never the file of another setting.
  const path = names.has(`${name}_FILE`) ? undefined : env[`${name}_FILE`];
  if (path === undefined || path === '') return text === undefined || text === '' ? {} : { text };
  if (text !== undefined && text !== '') return { problem: `${name} and ${name}_FILE are both set: use one` };
  try {
    const read = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return read === '' ? { problem: `${name}_FILE names an empty file` } : { text: read };
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return { problem: `${name}_FILE names a file that cannot be read (${code})` };
  }
}

/**
 * Read the variables named by the schema. An empty variable counts as unset. Defaults come from the schema.
 * Throws `CONFIG_INVALID` that lists every bad variable at once.
 */
export function loadConfig<T extends TProperties>(schema: TObject<T>, env: Environment): Readonly<Static<TObject<T>>> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  const properties = schema.properties as unknown as Record<string, Record<string, unknown>>;
  const names = new Set(Object.keys(properties));
  for (const [name, property] of Object.entries(properties)) {
    const { text, problem } = textOf(name, env, names);
    if (problem !== undefined) {
      problems.push(problem);
      continue;
    }
    if (text === undefined) {
      if ('default' in property) values[name] = property.default;
      else if (!(schema.required as readonly string[] | undefined)?.includes(name)) continue;
      else problems.push(`${name} is missing: ${describe(property)}`);
      continue;
    }
    const value = coerce(property, text);
    const reason = mismatch(property as never, value);
    if (reason) problems.push(`${name} ${reason.replace(/^\/ /, '')} (${describe(property)})`);
    else values[name] = value;
  }
  if (problems.length > 0) throw new CodedError('CONFIG_INVALID', problems.join('; '));
  return Object.freeze(values) as Readonly<Static<TObject<T>>>;
}

/** A setting that is a whole number, with its default and the least it may be. */
export const whole = (byDefault: number, minimum: number, description: string, maximum?: number) =>
  Type.Integer({ default: byDefault, minimum, ...(maximum === undefined ? {} : { maximum }), description });

/** A setting that may be left out. */
export const optionalText = (description: string, pattern?: string) =>
  Type.Optional(Type.String({ ...(pattern === undefined ? {} : { pattern }), description }));

/** The variables more than one service reads: defined once, so that they mean the same everywhere. */
export const COMMON_SETTINGS = {
  REDIS_URL: Type.String({ default: 'redis://127.0.0.1:6379', description: 'Redis server, with credentials if any.' }),
  KEY_PREFIX: Type.String({
    default: 'khumbu',
    pattern: '^[A-Za-z0-9_-]+$',
    description: 'First part of every Redis key; one per depot.',
  }),
  STATIONS_FILE: optionalText('YAML file that says how each station is reached.'),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'Least severe log lines to write.',
  }),
} as const;

export const S3_SETTINGS = {
  S3_ENDPOINT: optionalText('URL of the object store.', '^https?://'),
  S3_REGION: Type.String({ default: 'us-east-1', description: 'Region name used to sign requests.' }),
  S3_ACCESS_KEY: optionalText('Access key of the object store.'),
  S3_SECRET_KEY: optionalText('Secret key of the object store.'),
  S3_BUCKET: Type.String({ default: 'khumbu', description: 'Bucket for what the depot keeps.' }),
  S3_PUBLIC_ENDPOINT: optionalText(
    'URL of the object store as callers of the REST API reach it, where that is not S3_ENDPOINT.',
    '^https?://',
  ),
} as const;

export const WORKER_SETTINGS = {
  SIMULATED_STATIONS_DIR: Type.String({
    default: './var/chargers',
    description: 'Folder with the state of simulated stations.',
  }),
  HEALTH_HOST: Type.String({ default: '127.0.0.1', description: 'Address of the health server.' }),
  HEALTH_PORT: whole(0, 0, 'TCP port of the health server; 0 picks a free one.', 65535),
  JOB_LOCK_MS: whole(
    10_000,
    1000,
    'Milliseconds after which the job of a dead worker is taken over; the same for all workers.',
  ),
} as const;
