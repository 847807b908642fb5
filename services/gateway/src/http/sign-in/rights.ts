/** What somebody may, by the claims of a provider: pure, from the rows of `OIDC_RIGHTS`. */
import { SCOPES, type Scope } from '@khumbu/rest-contract/api-keys-file';
import { CodedError } from '@khumbu/shared/runtime/errors';

/** Where a claim stands: the names of members, outermost first. */
export type ClaimPath = readonly string[];
/** By the value of the claim; `*`: everybody. */
export type Rights = ReadonlyMap<string, Scope>;
export type Claims = Readonly<Record<string, unknown>>;

/** Stands for everybody whom the provider lets in. */
const EVERYBODY = '*';
/** Longer than any name; no limit or audit line grows by what a provider sends. */
const LONGEST_NAME = 256;

/** A name as it is, for names have dots and colons; or a JSON pointer, RFC 6901. Throws `CONFIG_INVALID`. */
export function claimPath(setting: string, text: string): ClaimPath {
  if (!text.startsWith('/')) return [text];
  if (/~(?![01])/.test(text)) throw new CodedError('CONFIG_INVALID', `${setting} is no JSON pointer: ~ is written ~0`);
  return text
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function claimAt(claims: Claims, path: ClaimPath): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Claims)[name];
  }
  return value;
}

const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** Rows as `staff=operate`; the value of a claim may have `=` in it. Throws `CONFIG_INVALID` for the first bad one. */
export function readRights(setting: string, rows: readonly string[]): Rights {
  const rights = new Map<string, Scope>();
  for (const [index, row] of rows.entries()) {
    const invalid = (why: string): CodedError =>
      new CodedError('CONFIG_INVALID', `${setting}, row ${index + 1}: ${why}`);
    const at = row.lastIndexOf('=');
    const scope = row.slice(at + 1).trim();
    if (at <= 0 || !isScope(scope)) throw invalid(`it is not value=scope with one of ${SCOPES.join(', ')}`);
    let value: string;
    try {
      value = decodeURIComponent(row.slice(0, at).trim());
    } catch (error) {
      throw new CodedError('CONFIG_INVALID', `${invalid('% is written %25').message}`, { cause: error });
    }
    if (rights.has(value)) throw invalid('its value has a row already');
    rights.set(value, scope);
  }
  return rights;
}

/** The texts of a claim. */
export function textsOf(claim: unknown): string[] {
  if (typeof claim === 'string') return [claim];
  return Array.isArray(claim) ? claim.filter((value) => typeof value === 'string') : [];
}

/** The rows that fit somebody, by their values. */
export function rowsOf(rights: Rights, claim: unknown): string[] {
  // A group of that name is not everybody.
  const values = textsOf(claim).filter((value) => value !== EVERYBODY && rights.has(value));
  return [...new Set(rights.has(EVERYBODY) ? [...values, EVERYBODY] : values)];
}

/** What rows grant by the table as it is now. */
export function scopesOfRows(rights: Rights, rows: readonly string[]): Scope[] {
  const given = new Set(rows.map((row) => rights.get(row)));
  return SCOPES.filter((scope) => given.has(scope));
}

/** What a person is called in audit lines. `undefined`: the claim is not one line of text. */
export const nameIn = (claim: unknown): string | undefined =>
  typeof claim === 'string' && claim.trim() !== '' && claim.length <= LONGEST_NAME && !/\p{C}/u.test(claim)
    ? claim
    : undefined;
