/**
 * A real OpenID Connect provider over HTTPS: `oidc-provider`, certified by the OpenID Foundation. Its people sign in with a name
 * in a form of ours, which loads nothing from elsewhere.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import Provider, { type ClientMetadata } from 'oidc-provider';

export interface OidcAccount {
  /** Claims beside `sub`. */
  readonly [claim: string]: unknown;
}

export interface OidcProviderOptions {
  readonly cert: string;
  readonly key: string;
  /** Its certificate has to name it. */
  readonly host: string;
  readonly client: ClientMetadata;
  /** By what one types; that is `sub`, too. */
  readonly accounts: Readonly<Record<string, OidcAccount>>;
}

const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><title>Provider</title></head><body><main><h1>${title}</h1>${body}</main></body></html>`;
const FORM = page(
  'Provider',
  `<form method="post"><label>Account <input name="account"></label>
<button name="choice" value="in">Continue</button><button name="choice" value="no">Decline</button></form>`,
);
const LOG_OUT = '<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>';

const signingKey = (kid: string): object => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
};

/** Resolves when it listens. */
export async function startOidcProvider({ cert, key, host, client, accounts }: OidcProviderOptions) {
  let provider: Provider;
  let answer: (request: IncomingMessage, response: ServerResponse) => unknown;
  let keys = 0;

  const interact = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html; charset=utf-8').end(FORM);
      return;
    }
    const form = new URLSearchParams(await text(request));
    const account = form.get('account') ?? '';
    const isIn = form.get('choice') === 'in' && Object.hasOwn(accounts, account);
    const result = isIn
      ? { login: { accountId: account } }
      : { error: 'access_denied', error_description: 'The person declined.' };
    await provider.interactionFinished(request, response, result);
  };
  const server = createServer({ cert, key }, (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return answer(request, response);
    return interact(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `https://${host}:${port}`;

  /** Begin to sign with a new key; the old one is not published any more. */
  const rotateKeys = (): void => {
    keys += 1;
    provider = new Provider(issuer, {
      clients: [client],
      jwks: { keys: [signingKey(`key-${keys}`)] },
      cookies: { keys: ['of the test'] },
      claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
      features: {
        devInteractions: { enabled: false },
        rpInitiatedLogout: {
          logoutSource: (context, form) => {
            context.body = page('Sign out?', `${form}${LOG_OUT}`);
          },
          postLogoutSuccessSource: (context) => {
            context.body = page('You are signed out', '');
          },
        },
      },
      interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
      findAccount: (_context, id) =>
        Object.hasOwn(accounts, id) ? { accountId: id, claims: async () => ({ sub: id, ...accounts[id] }) } : undefined,
      // Nobody is asked for consent.
      loadExistingGrant: async (context) => {
        const { client: known, session, params } = context.oidc;
        const grant = new context.oidc.provider.Grant({ clientId: known?.clientId, accountId: session?.accountId });
        grant.addOIDCScope(String(params?.scope));
        await grant.save();
        return grant;
      },
      ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
    });
    answer = provider.callback();
  };
  rotateKeys();

  return {
    issuer,
    rotateKeys,
    /** It is gone, for whoever asks; what it knows stays. */
    async stop(): Promise<void> {
      if (!server.listening) return;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    async startAgain(): Promise<void> {
      await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
    },
  };
}
