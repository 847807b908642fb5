/** The caller that a session of the provider stands for, by the settings as they are now. */
import type { Caller } from '../api-keys.js';
import type { OidcIdentity } from '../sessions/session-store.js';
import { type Rights, scopesOfRows } from './rights.js';

export interface SignInCallers {
  readonly issuer: string;
  readonly rights: Rights;
}

/** `undefined`: nobody signs in at this issuer any more, or no row that let him in is left. Pure. */
export function callerOfIdentity(known: SignInCallers | undefined, identity: OidcIdentity): Caller | undefined {
  if (known?.issuer !== identity.issuer) return undefined;
  const scopes = scopesOfRows(known.rights, identity.rows);
  return scopes.length === 0 ? undefined : { name: `oidc:${identity.name}`, scopes };
}
