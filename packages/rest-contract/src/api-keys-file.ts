/** `API_KEYS_FILE`: who may call REST, by the SHA-256 of their keys. The keys themselves stand nowhere. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { textOf } from '@khumbu/shared/runtime/followed-file';
import { readJson } from '@khumbu/shared/runtime/structured-text';
import { type Static, Type } from 'typebox';

/** Each holds those before it. */
export const SCOPES = ['read', 'operate', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Not blank, and not as callers with a token, or who have signed in at the provider, are called. */
const KEY_NAME = '^(?!jwt:|oidc:).*\\S';
/** Pure. */
export const isKeyName = (name: string): boolean => new RegExp(KEY_NAME).test(name);

const ApiKeysFile = Type.Array(
  Type.Object(
    {
      name: Type.String({ pattern: KEY_NAME }),
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
      scopes: Type.Array(Type.Enum([...SCOPES])),
    },
    { additionalProperties: false },
  ),
);
export type ApiKeysFile = Static<typeof ApiKeysFile>;

/** Throws `TEXT_INVALID`. A name stands for one caller everywhere: limits, logs, `askedBy`. */
export function readApiKeys(bytes: Buffer): ApiKeysFile {
  const keys = readJson(textOf(bytes), ApiKeysFile);
  for (const member of ['name', 'sha256'] as const) {
    const first = new Map<string, number>();
    for (const [index, { [member]: value }] of keys.entries()) {
      const before = first.get(value);
      if (before !== undefined)
        throw new CodedError('TEXT_INVALID', `entries ${before + 1} and ${index + 1} have the same ${member}`);
      first.set(value, index);
    }
  }
  return keys;
}
