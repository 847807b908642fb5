/**
 * The OpenID Connect provider at which people sign in: authorization code with PKCE, `state` and `nonce` (OpenID Connect Core,
 * 3.1; RFC 7636, 9700). Its metadata is looked at as `regular-look.ts` has it; of its keys nothing is kept.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  type CustomFetch,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  type IDToken,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  type ServerMetadata,
} from 'openid-client';
import type { Caller } from '../api-keys.js';
import { LOOK_TIMES, type LookTimes, lookRegularly } from '../regular-look.js';
import type { OidcIdentity } from '../sessions/session-store.js';
import { callerOfIdentity } from './callers.js';
import { reasonOf, SignInFailed } from './failures.js';
import type { PendingSignIn } from './pending-cookie.js';
import { createProviderFetch } from './provider-fetch.js';
import { type Claims, claimAt, nameIn, rowsOf, textsOf } from './rights.js';
import type { SignInRules } from './settings.js';

const SETTING = 'OIDC_ISSUER';
/** While a person waits. */
const PATIENCE_MS = 5000;
const MOST_TOLD = 20;

export interface ProviderOptions {
  readonly rules: SignInRules;
  /** PEM; `undefined`: those of Node. */
  readonly authorities: () => string | undefined;
  readonly userAgent: string;
  readonly reports: FileReports;
  readonly times?: Partial<LookTimes> | undefined;
  /** For each request to it. */
  readonly patienceMs?: number;
}

export type Provider = ReturnType<typeof openProvider>;

/** As the provider takes it: Basic where it does not say (OpenID Connect Discovery, 3), as every one has to. */
function clientAuthOf(
  secret: string | undefined,
  { token_endpoint_auth_methods_supported: methods }: ServerMetadata,
): ClientAuth {
  if (secret === undefined) return None();
  const takesBasic = methods === undefined || methods.includes('client_secret_basic');
  return takesBasic ? ClientSecretBasic(secret) : ClientSecretPost(secret);
}

/** Only a provider on loopback may be one of plain HTTP, see `settings.ts`. */
const allowances = (issuer: string): ((configuration: Configuration) => void)[] =>
  issuer.startsWith('http:') ? [allowInsecureRequests] : [];

/** What a sign-in needs of it. Throws `PROVIDER_REFUSED`. */
function checkMetadata(metadata: ServerMetadata): ServerMetadata {
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const)
    if (metadata[name] === undefined)
      throw new CodedError('PROVIDER_REFUSED', `${SETTING}: there is no ${name} in its metadata`);
  return metadata;
}

/** Its metadata as they are now. Rejects with `PROVIDER_REFUSED`, `PROVIDER_UNREACHABLE`. */
async function discover({ issuer, clientId }: SignInRules, request: CustomFetch): Promise<ServerMetadata> {
  try {
    const how = { execute: allowances(issuer), [customFetch]: request };
    const found = await discovery(new URL(issuer), clientId, undefined, None(), how);
    return checkMetadata(found.serverMetadata());
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError('PROVIDER_UNREACHABLE', `${SETTING} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

/** A client for one sign-in: a new one has no keys yet, they are fetched for it. */
function clientOf(rules: SignInRules, known: ServerMetadata, request: CustomFetch): Configuration {
  const authentication = clientAuthOf(rules.clientSecret, known);
  const configuration = new Configuration(known, rules.clientId, undefined, authentication);
  configuration[customFetch] = request;
  enableNonRepudiationChecks(configuration);
  for (const allow of allowances(rules.issuer)) allow(configuration);
  return configuration;
}

/**
 * All claims that are needed; those that the ID token lacks are asked for with the access token: many providers put there
 * nothing but `sub` (OpenID Connect Core, 5.4; oidc-provider 8.8).
 */
async function claimsOf(
  { nameClaim, rightsClaim }: SignInRules,
  configuration: Configuration,
  accessToken: string,
  idToken: IDToken,
): Promise<Claims> {
  const lacks = [nameClaim, rightsClaim].some((path) => claimAt(idToken, path) === undefined);
  if (!lacks || configuration.serverMetadata().userinfo_endpoint === undefined) return idToken;
  return { ...(await fetchUserInfo(configuration, accessToken, idToken.sub)), ...idToken };
}

export interface SignedIn {
  readonly identity: OidcIdentity;
  readonly caller: Caller;
}

/** Pure. Throws `SignInFailed`. */
function whoIs(rules: SignInRules, subject: string, claims: Claims): SignedIn {
  const { issuer, nameClaim, rightsClaim, rights } = rules;
  const name = nameIn(claimAt(claims, nameClaim));
  if (name === undefined)
    throw new SignInFailed('NOT_SET_UP', `the claim ${nameClaim.join('/')} of ${subject} is not one line of text`);
  const claim = claimAt(claims, rightsClaim);
  const identity = { issuer, subject, name, rows: rowsOf(rights, claim) };
  const caller = callerOfIdentity(rules, identity);
  if (caller) return { identity, caller };
  const values = textsOf(claim).slice(0, MOST_TOLD).join(', ') || 'not there';
  throw new SignInFailed('NO_RIGHTS', `no row of OIDC_RIGHTS fits ${name}: ${rightsClaim.join('/')} is ${values}`);
}

/** Nobody is asked before `lookOnce`. */
export function openProvider(options: ProviderOptions) {
  const { rules, authorities, userAgent, reports, times, patienceMs = PATIENCE_MS } = options;
  const { issuer, rights, redirectUri } = rules;
  const http = createProviderFetch({ authorities, userAgent, timeoutMs: patienceMs });
  const metadata = lookRegularly({
    setting: SETTING,
    look: () => discover(rules, http.request),
    unreachable: 'PROVIDER_UNREACHABLE',
    reports,
    times: { timeoutMs: patienceMs + LOOK_TIMES.timeoutMs, ...times },
  });
  /** Rejects with `PROVIDER_UNREACHABLE`, `PROVIDER_REFUSED`. */
  const client = async (): Promise<Configuration> => {
    await metadata.lookOnce();
    const known = metadata.current();
    const problem = metadata.problem();
    if (problem || !known) throw problem ?? new CodedError('PROVIDER_UNREACHABLE', `${SETTING} was not read yet`);
    return clientOf(rules, known, http.request);
  };

  return {
    name: rules.providerName,
    rights,
    issuer,
    /** Whether browsers come to the redirect URI over TLS. */
    isSecure: redirectUri.startsWith('https:'),
    /** Look at it, unless that was done just now. Never rejects; what is wrong is reported. */
    lookOnce: metadata.lookOnce,
    /** Where somebody is sent to sign in, and what the browser keeps meanwhile. Rejects with `PROVIDER_UNREACHABLE`. */
    async begin(place: string): Promise<{ readonly url: string; readonly pending: PendingSignIn }> {
      const pending = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier(), place };
      const url = buildAuthorizationUrl(await client(), {
        redirect_uri: redirectUri,
        scope: rules.requestedScopes,
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await calculatePKCECodeChallenge(pending.verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, pending };
    },
    /**
     * Who has come back, by the query of the redirect. Rejects with `SignInFailed`, `PROVIDER_UNREACHABLE` or the errors of
     * the library, see `failures.ts`. Not to be repeated: a code works once.
     */
    async finish(query: string, { state, nonce, verifier }: PendingSignIn): Promise<SignedIn> {
      const configuration = await client();
      const tokens = await authorizationCodeGrant(configuration, new URL(`${redirectUri}?${query}`), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const idToken = tokens.claims();
      if (!idToken) throw new SignInFailed('ID_TOKEN_REFUSED', 'there is no ID token in the answer');
      return whoIs(rules, idToken.sub, await claimsOf(rules, configuration, tokens.access_token, idToken));
    },
    /** Where one signs out at the provider itself (RP-Initiated Logout 1.0). `undefined`: it has no such place. */
    signOutUrl(): string | undefined {
      const known = metadata.current();
      if (known?.end_session_endpoint === undefined) return undefined;
      return buildEndSessionUrl(clientOf(rules, known, http.request)).href;
    },
    close(): void {
      metadata.close();
      http.close();
    },
  };
}
