/** What providers answer, and must not answer, when somebody signs in; and the settings. */
import { generateKeyPairSync } from 'node:crypto';
import { en } from '@khumbu/page/texts';
import { SIGN_IN_FAILURES } from '@khumbu/rest-contract/sign-in';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { keepCollecting } from '@khumbu/test-support/garbage';
import { SignJWT, UnsecuredJWT } from 'jose';
import t, { type Test } from 'tap';
import { GatewaySettings } from '../src/config.js';
import { callerOfIdentity } from '../src/http/sign-in/callers.js';
import { failureOf, reasonOf } from '../src/http/sign-in/failures.js';
import { openProvider } from '../src/http/sign-in/provider.js';
import { claimAt, claimPath, nameIn, readRights, rowsOf, scopesOfRows } from '../src/http/sign-in/rights.js';
import { signInRules } from '../src/http/sign-in/settings.js';
import { startScriptedProvider } from './scripted-provider.js';

const SETTINGS = {
  OIDC_ISSUER: 'https://sso.example/realms/depot',
  OIDC_CLIENT_ID: 'khumbu',
  OIDC_REDIRECT_URI: 'https://depot.example/sign-in/oidc/callback',
  OIDC_RIGHTS: '*=read',
};
const rulesOf = (settings: Record<string, string>) => signInRules(loadConfig(GatewaySettings, settings));

async function open(t: Test, settings: Record<string, string> = {}, patienceMs = 60_000) {
  const scripted = await startScriptedProvider(t, 'khumbu');
  const rules = rulesOf({ ...SETTINGS, OIDC_ISSUER: scripted.issuer, ...settings });
  if (!rules) throw new Error('nobody signs in');
  const problems: string[] = [];
  const reports = {
    usable: () => void problems.push('ok'),
    unusable: (_: string, { message }: Error) => void problems.push(message),
  };
  const times = { intervalMs: 0 };
  const how = { rules, authorities: () => undefined, userAgent: 'khumbu/test', reports, times, patienceMs };
  const provider = openProvider(how);
  t.teardown(() => provider.close());
  /** The word that the browser would be sent, or who it was. */
  const signIn = async (): Promise<unknown> => {
    try {
      const { url, pending } = await provider.begin('#/');
      return (await provider.finish(scripted.signedIn(url).toString(), pending)).identity;
    } catch (error) {
      reasons.push(reasonOf(error));
      return failureOf(error) ?? error;
    }
  };
  const reasons: string[] = [];
  return { ...scripted, provider, problems, reasons, signIn };
}

void t.test('the page has a text for each way to fail', async (t) => {
  t.same(Object.keys(en.signIn.failures).toSorted(), Object.keys(SIGN_IN_FAILURES).toSorted());
});

void t.test('what is asked: PKCE, state and nonce, and no secret in any address', async (t) => {
  const { provider, signedIn, form, authorization, issuer } = await open(t, { OIDC_CLIENT_SECRET: 's:e%c' });
  const first = await provider.begin('#/');
  const second = await provider.begin('#/');
  for (const name of ['state', 'nonce', 'verifier'] as const) t.not(first.pending[name], second.pending[name], name);
  const { origin, pathname, searchParams } = new URL(first.url);
  t.equal(`${origin}${pathname}`, `${issuer}/authorize`);
  t.match(Object.fromEntries(searchParams), {
    client_id: 'khumbu',
    response_type: 'code',
    redirect_uri: SETTINGS.OIDC_REDIRECT_URI,
    scope: 'openid profile',
    state: first.pending.state,
    nonce: first.pending.nonce,
    code_challenge_method: 'S256',
    code_challenge: /^[\w-]{43}$/,
  });
  t.notMatch(first.url, first.pending.verifier);
  await provider.finish(signedIn(first.url).toString(), first.pending);
  t.match(Object.fromEntries(form()), {
    grant_type: 'authorization_code',
    code: 'a-code',
    code_verifier: first.pending.verifier,
  });
  t.equal(form().get('client_secret'), null);
  // RFC 6749, 2.3.1: both are encoded as in a form before they are put together.
  t.equal(authorization(), `Basic ${Buffer.from('khumbu:s%3Ae%25c').toString('base64')}`);
});

void t.test('the secret is sent as the provider takes it', async (t) => {
  const { signIn, answers, form, authorization } = await open(t, { OIDC_CLIENT_SECRET: 'secret' });
  answers.metadata = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
  t.match(await signIn(), { subject: 'u-1' });
  t.equal(form().get('client_secret'), 'secret');
  t.equal(authorization(), undefined);
});

void t.test('an ID token that is not for this sign-in lets nobody in', async (t) => {
  const { signIn, answers, sign, reasons } = await open(t, { OIDC_CLIENT_SECRET: 'secret' });
  t.match(await signIn(), { subject: 'u-1', name: 'u-1', rows: ['*'] }, 'a right one does');
  const now = Math.floor(Date.now() / 1000);
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const wrong: Record<string, [Partial<typeof answers>, string]> = {
    'another nonce': [{ claims: { nonce: 'x'.repeat(43) } }, 'ID_TOKEN_REFUSED'],
    'no nonce': [{ claims: { nonce: undefined } }, 'ID_TOKEN_REFUSED'],
    'another audience': [{ claims: { aud: 'other' } }, 'ID_TOKEN_REFUSED'],
    'another issuer': [{ claims: { iss: 'https://other.example' } }, 'ID_TOKEN_REFUSED'],
    'no subject': [{ claims: { sub: undefined } }, 'ID_TOKEN_REFUSED'],
    'of yesterday': [{ claims: { iat: now - 90_000, exp: now - 86_400 } }, 'CLOCKS_DIFFER'],
    'of tomorrow': [{ claims: { nbf: now + 86_400 } }, 'CLOCKS_DIFFER'],
    'a foreign key': [{ idToken: (claims) => sign(claims, foreign) }, 'ID_TOKEN_REFUSED'],
    'a key that is not published': [
      { idToken: (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k9' }).sign(foreign) },
      'ID_TOKEN_REFUSED',
    ],
    'the shared secret for a key': [
      {
        idToken: (claims) =>
          new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('secret'.padEnd(32))),
        metadata: { id_token_signing_alg_values_supported: ['HS256', 'ES256'] },
      },
      'ID_TOKEN_REFUSED',
    ],
    unsigned: [{ idToken: async (claims) => new UnsecuredJWT(claims).encode() }, 'ID_TOKEN_REFUSED'],
    'no ID token': [{ idToken: async () => undefined }, 'ID_TOKEN_REFUSED'],
    'no JWT': [{ idToken: async () => 'x.y' }, 'ID_TOKEN_REFUSED'],
    'userinfo of somebody else': [{ userinfo: { sub: 'u-2', groups: ['x'] } }, 'ID_TOKEN_REFUSED'],
  };
  for (const [what, [change, failure]] of Object.entries(wrong)) {
    Object.assign(answers, { metadata: {}, claims: {}, idToken: undefined, userinfo: {} }, change);
    t.equal(await signIn(), failure, what);
  }
  t.notMatch(reasons.join(), /secret|eyJ/, 'no reason holds a token');
});

void t.test('what a provider answers instead', async (t) => {
  const { signIn, answers, reasons, problems, asked, provider, signedIn } = await open(t, {
    OIDC_CLIENT_SECRET: 'secret',
  });
  const error = (status: number, error: string) => ({
    status,
    body: JSON.stringify({ error, error_description: 'words' }),
  });
  const tokens: [NonNullable<typeof answers.token>, string][] = [
    [error(400, 'invalid_grant'), 'SIGN_IN_LOST'],
    [error(401, 'invalid_client'), 'NOT_SET_UP'],
    [error(400, 'unauthorized_client'), 'NOT_SET_UP'],
    [{ status: 500, body: '{}' }, 'PROVIDER_UNREACHABLE'],
    [{ status: 302, body: '' }, 'PROVIDER_UNREACHABLE'],
    [{ status: 204, body: '' }, 'PROVIDER_UNREACHABLE'],
    [{ status: 200, type: 'text/html', body: '<html>' }, 'PROVIDER_UNREACHABLE'],
    [{ status: 200, body: '{"access_token":' }, 'PROVIDER_UNREACHABLE'],
    [{ status: 200, body: '{"id_token":"x"}' }, 'ID_TOKEN_REFUSED'],
    [{ status: 200, body: ' '.repeat(1_100_000) }, 'PROVIDER_UNREACHABLE'],
  ];
  for (const [token, failure] of tokens) {
    answers.token = token;
    t.equal(await signIn(), failure, `${token.status} ${token.body.slice(0, 60)}`);
  }
  t.match(reasons[0], /invalid_grant: words/);

  const before = asked.filter((name) => name === 'token').length;
  const redirects: Record<string, string> = {
    access_denied: 'DENIED',
    login_required: 'DENIED',
    temporarily_unavailable: 'PROVIDER_UNREACHABLE',
    server_error: 'PROVIDER_UNREACHABLE',
    invalid_scope: 'NOT_SET_UP',
    unauthorized_client: 'NOT_SET_UP',
  };
  for (const [word, failure] of Object.entries(redirects)) {
    const { url, pending } = await provider.begin('#/');
    const sent = new URLSearchParams({ error: word, state: signedIn(url).get('state') ?? '' });
    const refused = await provider.finish(sent.toString(), pending).catch((error: unknown) => error);
    t.equal(failureOf(refused), failure, word);
  }
  // RFC 9207: an answer of another provider, brought here by mix-up.
  const { url, pending } = await provider.begin('#/');
  const mixed = signedIn(url);
  mixed.set('iss', 'https://other.example');
  t.equal(
    failureOf(await provider.finish(mixed.toString(), pending).catch((error: unknown) => error)),
    'ID_TOKEN_REFUSED',
  );
  t.equal(asked.filter((name) => name === 'token').length, before, 'with those it was asked for no token');

  answers.token = undefined;
  const metadata: [Record<string, unknown>, RegExp][] = [
    [{ issuer: 'https://other.example' }, /OIDC_ISSUER cannot be read: .*issuer does not match/],
    [{ token_endpoint: undefined }, /OIDC_ISSUER: there is no token_endpoint in its metadata/],
    [{ jwks_uri: undefined }, /OIDC_ISSUER: there is no jwks_uri/],
  ];
  for (const [members, reason] of metadata) {
    answers.metadata = members;
    t.equal(await signIn(), 'PROVIDER_UNREACHABLE', String(reason));
    t.match(problems.at(-1), reason);
  }
  answers.metadata = {};
  t.match(await signIn(), { subject: 'u-1' });
  t.equal(problems.at(-1), 'ok');
});

void t.test('claims come in the ID token, or else of the userinfo endpoint', async (t) => {
  const groups = {
    OIDC_RIGHTS_CLAIM: '/realm_access/roles',
    OIDC_NAME_CLAIM: 'preferred_username',
    OIDC_RIGHTS: 'a=read,b=admin',
  };
  const { signIn, answers, asked } = await open(t, groups);
  answers.claims = { preferred_username: 'ada', realm_access: { roles: ['b', 5, 'c'] } };
  t.match(await signIn(), { name: 'ada', rows: ['b'] });
  t.notOk(asked.includes('userinfo'));
  answers.claims = { preferred_username: 'ada' };
  answers.userinfo = { preferred_username: 'other', realm_access: { roles: ['a'] } };
  t.match(await signIn(), { name: 'ada', rows: ['a'] }, 'what the ID token says goes first');
  t.ok(asked.includes('userinfo'));
  answers.metadata = { userinfo_endpoint: undefined };
  t.equal(await signIn(), 'NO_RIGHTS');
});

/** On a busy machine 300 ms may be too short for anything. */
async function askUntilHeard<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (failureOf(error) !== 'PROVIDER_UNREACHABLE') throw error;
    }
  }
}

void t.test('a provider that never answers keeps nobody waiting for long', async (t) => {
  t.teardown(keepCollecting());
  const { answers, provider, signedIn } = await open(t, {}, 300);
  answers.silent.add('token');
  const { url, pending } = await askUntilHeard(() => provider.begin('#/'));
  const late: unknown = await provider.finish(signedIn(url).toString(), pending).catch((error: unknown) => error);
  t.equal(failureOf(late), 'PROVIDER_UNREACHABLE');
  t.match(reasonOf(late), /nothing came of it in 300 ms/);
});

void t.test('rows and what they grant', async (t) => {
  const rights = readRights('OIDC_RIGHTS', ['staff=operate', 'cn=a%2Cou=b=admin', '100%25=read', '*=read']);
  t.same([...rights.keys()], ['staff', 'cn=a,ou=b', '100%', '*']);
  t.same(rowsOf(rights, ['staff', 'staff', 'x', 7]), ['staff', '*']);
  t.same(rowsOf(rights, 'cn=a,ou=b'), ['cn=a,ou=b', '*']);
  t.same(rowsOf(readRights('X', ['a=read']), ['*', 'b']), []);
  t.same(rowsOf(readRights('X', ['a=read']), { a: true }), []);
  t.same(rowsOf(readRights('X', ['*=read']), undefined), ['*']);
  t.same(scopesOfRows(rights, ['staff', '*', 'gone']), ['read', 'operate']);
  for (const row of ['staff', '=read', 'staff=owner', 'staff=', '%=read', 'a=read '])
    if (row === 'a=read ') t.same([...readRights('X', [row])], [['a', 'read']]);
    else
      t.throws(() => readRights('OIDC_RIGHTS', ['b=read', row]), {
        code: 'CONFIG_INVALID',
        message: /^OIDC_RIGHTS, row 2/,
      });
  t.throws(() => readRights('X', ['a=read', 'a=admin']), { code: 'CONFIG_INVALID' });
  t.same(claimAt({ 'https://x.example/roles': 1 }, claimPath('X', 'https://x.example/roles')), 1);
  t.same(claimAt({ a: { 'b/c': { '~': 2 } } }, claimPath('X', '/a/b~1c/~0')), 2);
  for (const path of ['/a/b', '/constructor', '/a/length'])
    t.equal(claimAt({ a: 'text' }, claimPath('X', path)), undefined);
  t.throws(() => claimPath('X', '/a~2'), { code: 'CONFIG_INVALID' });
  for (const name of ['', ' ', 'a\nb', 'a\u202eb', 'x'.repeat(257), 5, null, ['a']]) t.equal(nameIn(name), undefined);
  t.equal(nameIn('Ada Łovelace'), 'Ada Łovelace');
  const identity = { issuer: 'i', subject: 's', name: 'ada', rows: ['staff'] };
  t.strictSame(callerOfIdentity({ issuer: 'i', rights }, identity), { name: 'oidc:ada', scopes: ['operate'] });
  t.equal(callerOfIdentity({ issuer: 'j', rights }, identity), undefined);
  t.equal(callerOfIdentity(undefined, identity), undefined);
});

void t.test('settings that cannot work are refused at the start, by name', async (t) => {
  t.equal(rulesOf({}), undefined);
  t.equal(rulesOf({ OIDC_NAME_CLAIM: 'email' }), undefined);
  t.match(rulesOf(SETTINGS), {
    providerName: 'sso.example',
    requestedScopes: 'openid profile',
    clientSecret: undefined,
  });
  t.match(rulesOf({ ...SETTINGS, OIDC_REQUESTED_SCOPES: 'openid,groups,groups' }), {
    requestedScopes: 'openid groups',
  });
  for (const loopback of ['http://localhost:8080', 'http://127.0.0.1', 'http://[::1]:1/x'])
    t.equal(rulesOf({ ...SETTINGS, OIDC_ISSUER: loopback })?.issuer, loopback);
  const wrong: [Record<string, string>, RegExp][] = [
    [{ OIDC_ISSUER: '' }, /belong together: OIDC_ISSUER is not set/],
    [{ OIDC_RIGHTS: '', OIDC_CLIENT_ID: '' }, /OIDC_CLIENT_ID and OIDC_RIGHTS is not set/],
    [{ OIDC_ISSUER: 'http://sso.example' }, /http is for loopback alone/],
    [{ OIDC_ISSUER: 'https://user:pw@sso.example' }, /more than scheme, host and path/],
    [{ OIDC_ISSUER: 'https://sso.example/?x=1' }, /more than scheme, host and path/],
    [{ OIDC_ISSUER: 'https://[' }, /OIDC_ISSUER is no URL/],
    [{ OIDC_REDIRECT_URI: 'https://depot.example/' }, /does not have the path \/sign-in\/oidc\/callback/],
    [{ OIDC_REDIRECT_URI: 'https://depot.example/sign-in/oidc/callback/' }, /does not have the path/],
    [{ OIDC_RIGHTS: 'staff=owner' }, /OIDC_RIGHTS, row 1/],
    [{ OIDC_REQUESTED_SCOPES: 'a b' }, /OIDC_REQUESTED_SCOPES/],
  ];
  for (const [settings, reason] of wrong) {
    try {
      rulesOf({ ...SETTINGS, ...settings });
      t.fail(`taken: ${JSON.stringify(settings)}`);
    } catch (error) {
      t.ok(hasCode(error, 'CONFIG_INVALID'));
      t.match((error as Error).message, reason);
      t.notMatch((error as Error).message, 'pw@');
    }
  }
});
