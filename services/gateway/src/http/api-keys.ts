/** API keys and their scopes. Only hashes are kept; keys are compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type ApiKeysFile, readApiKeys, SCOPES, type Scope } from '@khumbu/rest-contract/api-keys-file';
import { type FileReports, followFile } from '@khumbu/shared/runtime/followed-file';
import type { Session } from './sessions/session-store.js';

export interface Caller {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** When what was presented is not valid any more; milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Aborts when it is withdrawn. */
  readonly withdrawn?: AbortSignal;
  /** Of an API key: lower-case hex. */
  readonly keySha256?: string;
  /** Of a browser, which is known by its cookie. */
  readonly session?: Session;
}

/** Each scope holds those before it. */
export const hasScope = ({ scopes }: Pick<Caller, 'scopes'>, wanted: Scope): boolean =>
  scopes.some((scope) => SCOPES.indexOf(scope) >= SCOPES.indexOf(wanted));

type Entry = ApiKeysFile[number];

/** Another name or other scopes make another key of it: the next request with it gets the new scopes. */
const identityOf = ({ name, sha256, scopes }: Entry): string => JSON.stringify([sha256, name, [...scopes].sort()]);

/** Read the file and follow it. Throws `CONFIG_INVALID` for a bad one at the start. Without a file nobody is known. */
export function openApiKeys(path: string | undefined, reports: FileReports) {
  /** Of the keys that were presented, by their identity. */
  const presented = new Map<string, AbortController>();
  const withdrawalOf = (entry: Entry): AbortSignal => {
    const identity = identityOf(entry);
    const withdrawal = presented.get(identity) ?? new AbortController();
    presented.set(identity, withdrawal);
    return withdrawal.signal;
  };
  const onChange = (): void => {
    const known = new Set(followed?.current().map(identityOf));
    for (const [identity, withdrawal] of presented) {
      if (known.has(identity)) continue;
      presented.delete(identity);
      withdrawal.abort();
    }
  };
  // The beginning of a hash tells one key from the next.
  const summary = (keys: ApiKeysFile): string[] =>
    keys.map(({ name, sha256, scopes }) => `${name} ${scopes.join('+')} ${sha256.slice(0, 8)}`);
  const options = { setting: 'API_KEYS_FILE', read: readApiKeys, code: 'CONFIG_INVALID', nothing: '[]', summary };
  const followed = path === undefined ? undefined : followFile({ ...options, path, reports, onChange });
  const withHash = (hash: Buffer): Caller | undefined => {
    const found = followed?.current().find((known) => timingSafeEqual(Buffer.from(known.sha256, 'hex'), hash));
    if (!found) return undefined;
    const { name, scopes, sha256: keySha256 } = found;
    return { name, scopes, keySha256, withdrawn: withdrawalOf(found) };
  };
  return {
    /** The caller with this key; `undefined`: there is none. */
    callerOf: (key: string): Caller | undefined => withHash(createHash('sha256').update(key).digest()),
    /** The caller whose key has this SHA-256, as it stands in the file. */
    callerWithHash: (sha256: string): Caller | undefined => withHash(Buffer.from(sha256, 'hex')),
    close: (): void => followed?.close(),
  };
}
