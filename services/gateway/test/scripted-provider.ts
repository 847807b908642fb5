/** An OpenID Connect provider on loopback that answers as a test wants it to: wrong in each way. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, SignJWT } from 'jose';
import type { Test } from 'tap';

export interface Answers {
  /** Members of the metadata that are others; `undefined` takes one away. */
  metadata: Record<string, unknown>;
  /** Claims that are others. */
  claims: Record<string, unknown>;
  /** In place of the whole answer of the token endpoint. */
  token: { readonly status: number; readonly type?: string; readonly body: string } | undefined;
  /** In place of the ID token. */
  idToken: ((claims: Record<string, unknown>) => Promise<string | undefined>) | undefined;
  userinfo: Record<string, unknown>;
  /** Names of endpoints that never answer. */
  silent: Set<string>;
}

export async function startScriptedProvider(t: Test, clientId: string) {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const answers: Answers = {
    metadata: {},
    claims: {},
    token: undefined,
    idToken: undefined,
    userinfo: {},
    silent: new Set(),
  };
  const asked: string[] = [];
  /** What the token endpoint was sent last. */
  let lastForm = new URLSearchParams();
  let lastAuthorization: string | undefined;
  let nonce = '';

  const sign = (claims: Record<string, unknown>, key: KeyObject = pair.privateKey): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(key);
  const idToken = async (): Promise<string | undefined> => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer(), aud: clientId, sub: 'u-1', iat: now, exp: now + 300, nonce, ...answers.claims };
    return answers.idToken ? answers.idToken(claims) : sign(claims);
  };
  const token = async (request: IncomingMessage): Promise<{ status: number; type?: string; body: string }> => {
    lastForm = new URLSearchParams(await text(request));
    lastAuthorization = request.headers.authorization;
    if (answers.token) return answers.token;
    const body = {
      access_token: 'secret-access-token',
      token_type: 'Bearer',
      expires_in: 60,
      id_token: await idToken(),
    };
    return { status: 200, body: JSON.stringify(body) };
  };
  const metadata = (): Record<string, unknown> => ({
    issuer: issuer(),
    authorization_endpoint: `${issuer()}/authorize`,
    token_endpoint: `${issuer()}/token`,
    jwks_uri: `${issuer()}/jwks`,
    userinfo_endpoint: `${issuer()}/userinfo`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    ...answers.metadata,
  });
  const answer = async (
    name: string,
    request: IncomingMessage,
  ): Promise<{ status: number; type?: string; body: string }> => {
    if (name === 'token') return token(request);
    const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) });
    if (name === 'openid-configuration') return json(metadata());
    if (name === 'jwks')
      return json({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] });
    if (name === 'userinfo') return json({ sub: 'u-1', ...answers.userinfo });
    return { status: 404, body: '{}' };
  };
  const server = createServer((request, response) => {
    const name = (request.url ?? '').split('?', 1)[0]?.split('/').at(-1) ?? '';
    asked.push(name);
    if (answers.silent.has(name)) return;
    answer(name, request).then(
      ({ status, type = 'application/json', body }) => response.writeHead(status, { 'content-type': type }).end(body),
      (error: unknown) => response.destroy(error as Error),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const issuer = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    issuer: issuer(),
    answers,
    asked,
    sign,
    form: () => lastForm,
    authorization: () => lastAuthorization,
    /** As if somebody had signed in there: what the browser comes back with. */
    signedIn: (authorizationUrl: string, code = 'a-code'): URLSearchParams => {
      const { searchParams } = new URL(authorizationUrl);
      nonce = searchParams.get('nonce') ?? '';
      return new URLSearchParams({ code, state: searchParams.get('state') ?? '' });
    },
  };
}
