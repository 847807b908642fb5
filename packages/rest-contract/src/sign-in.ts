/**
 * What a browser is told when signing in at a provider came to nothing: the page is opened with the word in its address, and
 * has a text for each. The documents walk this table.
 */
interface SignInFailureKind {
  /** For whoever looks after the depot. */
  readonly meaning: string;
  readonly remedy: string;
}

export const SIGN_IN_FAILURES = {
  PROVIDER_UNREACHABLE: {
    meaning: 'The gateway cannot reach the provider, or it does not answer as one.',
    remedy: 'See `files` of `/readyz`; a key signs in meanwhile.',
  },
  NOT_SET_UP: {
    meaning: 'The provider does not take the gateway, or leaves out the claim that names people.',
    remedy:
      'Compare client id, secret, redirect URI and claims with what is registered there; the log says what it answered.',
  },
  DENIED: {
    meaning: 'The provider let nobody in: the person declined, or may not use this client.',
    remedy: 'Sign in again; or let the account use the client at the provider.',
  },
  NO_RIGHTS: {
    meaning: 'The account is known there, and no row of `OIDC_RIGHTS` fits it.',
    remedy: 'The log has the values of the claim: add a row for one of them, or put the account into a group.',
  },
  SIGN_IN_LOST: {
    meaning: 'The answer is of no sign-in that this browser began in the last ten minutes, or was used before.',
    remedy: 'Sign in again, in one tab, with cookies allowed.',
  },
  CLOCKS_DIFFER: {
    meaning: 'By the clock of the gateway the ID token is not valid yet, or not any more.',
    remedy: 'Set the clocks of both: more than 30 s lie between them.',
  },
  ID_TOKEN_REFUSED: {
    meaning: 'The ID token is not one for this sign-in: signature, issuer, audience or nonce do not fit.',
    remedy: 'The log says which. Compare `OIDC_ISSUER` and `OIDC_CLIENT_ID` with the provider.',
  },
  TOO_MANY: {
    meaning: 'From one address more than 120 came back from the provider to this gateway in a minute.',
    remedy: 'Sign in again in a minute. Behind a proxy all people are one address.',
  },
  NOT_STORED: {
    meaning: 'Redis did not take the session.',
    remedy: 'Sign in again when `/readyz` says that Redis is there.',
  },
} as const satisfies Record<string, SignInFailureKind>;

export type SignInFailure = keyof typeof SIGN_IN_FAILURES;

/** `GET /sign-in/methods`: how a browser may sign in beside a key. Open to everybody. */
export interface SignInMethods {
  readonly provider?: {
    /** For people. */
    readonly name: string;
    /** Where signing in begins; takes `return`, a place of the page as `#/stations`. */
    readonly path: string;
    /** Where one signs out at the provider itself; absent: it has no such place, or was not reached yet. */
    readonly signOutPath?: string;
  };
}
