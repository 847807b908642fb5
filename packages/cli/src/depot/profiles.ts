/**
 * Depots by name, in one file that its owner alone may read: `profiles.json`. A file that others can read is not used, as ssh
 * does with keys.
 */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { readJson } from '@khumbu/shared/runtime/structured-text';
import { type Static, Type } from 'typebox';
import { Failure } from '../failure.js';
import type { CliSettings } from '../settings.js';

const closed = { additionalProperties: false } as const;
const Profile = Type.Object(
  {
    url: Type.String({ pattern: '^https?://' }),
    key: Type.Optional(Type.String({ minLength: 1 })),
    keyFile: Type.Optional(Type.String({ minLength: 1 })),
  },
  closed,
);
const ProfilesFile = Type.Object(
  { default: Type.Optional(Type.String()), profiles: Type.Record(Type.String(), Profile) },
  closed,
);
export type Profile = Static<typeof Profile>;
export type Profiles = Static<typeof ProfilesFile>;

const OTHERS = 0o077;

export function profilesPath(settings: CliSettings, env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_CONFIG_HOME } = env;
  const config = XDG_CONFIG_HOME ? XDG_CONFIG_HOME : join(env.HOME || homedir(), '.config');
  return settings.KHUMBU_PROFILES_FILE ?? join(config, 'khumbu', 'profiles.json');
}

/** No file: no profiles. Throws a `Failure` for one that others can read or that is not right; it repeats nothing of it. */
export function readProfiles(path: string): Profiles {
  try {
    const { mode } = statSync(path);
    if ((mode & OTHERS) !== 0)
      throw new Failure('usage', 'PROFILES_FILE_OPEN', `${path} may be read by others: chmod 600 ${path}`);
    return readJson(readFileSync(path, 'utf8'), ProfilesFile);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (hasCode(error, 'ENOENT')) return { profiles: {} };
    throw new Failure('usage', 'PROFILES_FILE_INVALID', `${path}: ${describeError(error)}`);
  }
}

/** Whole or not at all, for its owner alone. */
export function writeProfiles(path: string, profiles: Profiles): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.${process.pid}.new`;
  writeFileSync(next, `${JSON.stringify(profiles, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(next, path);
}
