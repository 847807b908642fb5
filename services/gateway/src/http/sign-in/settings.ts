/** The settings of signing in at an OpenID Connect provider. */
import { isIP } from 'node:net';
import { addressKind } from '@khumbu/shared/locations/address';
import { isLocalhost } from '@khumbu/shared/locations/host-entry';
import { optionalText } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type Static, type TObject, Type } from 'typebox';
import { type ClaimPath, claimPath, type Rights, readRights } from './rights.js';

/** Where the provider sends browsers back to; registered there as it is. */
export const CALLBACK_PATH = '/sign-in/oidc/callback';

export const SIGN_IN_SETTINGS = {
  OIDC_ISSUER: optionalText(
    'Issuer of the OpenID Connect provider at which people sign in to the page, as it stands in its metadata; set to offer it beside keys. https, or http on loopback.',
    '^https?://',
  ),
  OIDC_CLIENT_ID: optionalText('Client id of the gateways at the provider.'),
  OIDC_CLIENT_SECRET: optionalText('Its secret; none for a public client, which PKCE alone protects.'),
  OIDC_REDIRECT_URI: optionalText(
    `Where the provider sends browsers back to, as it is registered there: the address of the page as browsers know it, with the path ${CALLBACK_PATH}.`,
    '^https?://',
  ),
  OIDC_CA_FILE: optionalText(
    'PEM file of the authority that signed the provider’s certificate; it is then the only one. Not set: those of Node.',
  ),
  OIDC_PROVIDER_NAME: optionalText('What the page calls the provider; the host of OIDC_ISSUER if not set.'),
  OIDC_REQUESTED_SCOPES: Type.Array(Type.String({ pattern: '^[!#-\\[\\]-~]+$' }), {
    default: ['profile'],
    description: 'Comma-separated scopes that are asked for beside openid, so that the claims below come.',
  }),
  OIDC_NAME_CLAIM: Type.String({
    default: 'sub',
    minLength: 1,
    description:
      'Claim that names a person in audit lines and limits, behind oidc:; one that is unique at the provider, as preferred_username often is. With / in front a JSON pointer.',
  }),
  OIDC_RIGHTS_CLAIM: Type.String({
    default: 'groups',
    minLength: 1,
    description:
      'Claim that OIDC_RIGHTS is compared with, a text or a list of texts. With / in front it is a JSON pointer, as /realm_access/roles.',
  }),
  OIDC_RIGHTS: Type.Array(Type.String(), {
    default: [],
    description:
      'Comma-separated value=scope, as depot-staff=operate: who has the value in OIDC_RIGHTS_CLAIM has the scope. *=read: everybody whom the provider lets in. %2C stands for a comma, %25 for %.',
  }),
} as const;

const Settings: TObject<typeof SIGN_IN_SETTINGS> = Type.Object(SIGN_IN_SETTINGS);
type Configured = Readonly<Static<typeof Settings>>;

export interface SignInRules {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly redirectUri: string;
  readonly providerName: string;
  /** Words with blanks between them, RFC 6749, 3.3. */
  readonly requestedScopes: string;
  readonly nameClaim: ClaimPath;
  readonly rightsClaim: ClaimPath;
  readonly rights: Rights;
}

const invalid = (text: string): CodedError => new CodedError('CONFIG_INVALID', text);

const isLoopback = ({ hostname }: URL): boolean => {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isLocalhost(host) || (isIP(host) !== 0 && addressKind(host) === 'loopback');
};

function urlOf(setting: keyof Configured, text: string): URL {
  if (!URL.canParse(text)) throw invalid(`${setting} is no URL`);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw invalid(`${setting} has more than scheme, host and path`);
  return url;
}

const NEEDED = ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_REDIRECT_URI'] as const;

/** `undefined`: nobody signs in that way. Throws `CONFIG_INVALID` for half of it, and for what cannot work. Pure. */
export function signInRules(config: Configured): SignInRules | undefined {
  const {
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_ID: clientId,
    OIDC_REDIRECT_URI: redirectUri,
    OIDC_RIGHTS: rows,
    OIDC_REQUESTED_SCOPES: requested,
  } = config;
  const given = [issuer, clientId, redirectUri, config.OIDC_CLIENT_SECRET, config.OIDC_CA_FILE, rows[0]];
  if (given.every((text) => text === undefined)) return undefined;
  if (issuer === undefined || clientId === undefined || redirectUri === undefined || rows.length === 0) {
    const missing = [
      ...NEEDED.filter((name) => config[name] === undefined),
      ...(rows.length > 0 ? [] : ['OIDC_RIGHTS']),
    ];
    throw invalid(`${[...NEEDED, 'OIDC_RIGHTS'].join(', ')} belong together: ${missing.join(' and ')} is not set`);
  }
  const issuerUrl = urlOf('OIDC_ISSUER', issuer);
  if (issuerUrl.protocol !== 'https:' && !isLoopback(issuerUrl))
    throw invalid('OIDC_ISSUER: http is for loopback alone; anywhere else secret and keys would travel in the clear');
  if (urlOf('OIDC_REDIRECT_URI', redirectUri).pathname !== CALLBACK_PATH)
    throw invalid(`OIDC_REDIRECT_URI does not have the path ${CALLBACK_PATH}`);
  return {
    issuer,
    clientId,
    clientSecret: config.OIDC_CLIENT_SECRET,
    redirectUri,
    providerName: config.OIDC_PROVIDER_NAME ?? issuerUrl.host,
    requestedScopes: [...new Set(['openid', ...requested])].join(' '),
    nameClaim: claimPath('OIDC_NAME_CLAIM', config.OIDC_NAME_CLAIM),
    rightsClaim: claimPath('OIDC_RIGHTS_CLAIM', config.OIDC_RIGHTS_CLAIM),
    rights: readRights('OIDC_RIGHTS', rows),
  };
}
