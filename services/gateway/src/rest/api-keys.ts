/** API keys: who may do what over REST. Only hashes are kept; keys are compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mismatch } from '@khumbu/shared/contract/codec';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type Static, Type } from 'typebox';

export const SCOPES = ['read', 'operate', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

const ApiKeysFile = Type.Array(
  Type.Object(
    {
      name: Type.String({ minLength: 1 }),
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
      scopes: Type.Array(Type.Enum([...SCOPES])),
    },
    { additionalProperties: false },
  ),
);
type ApiKeysFile = Static<typeof ApiKeysFile>;

export interface Caller {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** When what was presented is not valid any more; milliseconds since 1970. */
  readonly expiresAt?: number;
}

/** Each scope holds those before it. */
export const hasScope = ({ scopes }: Pick<Caller, 'scopes'>, wanted: Scope): boolean =>
  scopes.some((scope) => SCOPES.indexOf(scope) >= SCOPES.indexOf(wanted));

/** Whose key this is; `undefined`: nobody's. */
export type ReadApiKey = (key: string) => Caller | undefined;

/** Read the file. Throws `CONFIG_INVALID`. Without a file nobody is known. */
export function openApiKeys(path: string | undefined): ReadApiKey {
  let keys: ApiKeysFile = [];
  if (path !== undefined) {
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, 'utf8'));
    } catch (error) {
      throw new CodedError('CONFIG_INVALID', `API_KEYS_FILE cannot be read: ${describeError(error)}`);
    }
    const reason = mismatch(ApiKeysFile, value);
    if (reason) throw new CodedError('CONFIG_INVALID', `API_KEYS_FILE: ${reason}`);
    keys = value as ApiKeysFile;
  }
  return (key) => {
    const hash = createHash('sha256').update(key).digest();
    const found = keys.find((known) => timingSafeEqual(Buffer.from(known.sha256, 'hex'), hash));
    return found && { name: found.name, scopes: found.scopes };
  };
}
