/** Signing in at an OpenID Connect provider of another site, in a real browser: redirects, cookies and what a person is told. */
import { join } from 'node:path';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOidcProvider } from '@khumbu/test-support/oidc-provider';
import type { Page } from 'playwright-core';
import t from 'tap';
import { accessibilityFaults, findBrowser, startBrowser } from './browser.js';
import { startCluster } from './cluster.js';

t.setTimeout(900_000);
const executable = findBrowser();
const SECRET = 'a client secret';

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const link = (page: Page, name: string) => page.getByRole('link', { name });
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });

await t.test('signing in at a provider', { skip: executable ? false : 'there is no Chromium' }, async (t) => {
  const dir = t.testdir();
  const port = await freePort();
  const authority = await makeAuthority(join(dir, 'ca'));
  const { certificatePem: cert, keyPem: key } = await authority.issue({
    name: 'localhost',
    subjectAltName: 'DNS:localhost',
  });
  const redirectUri = `http://127.0.0.1:${port}/sign-in/oidc/callback`;
  const provider = await startOidcProvider({
    cert,
    key,
    // Another site than the gateway, which is at an address.
    host: 'localhost',
    client: { client_id: 'khumbu', client_secret: SECRET, redirect_uris: [redirectUri] },
    accounts: { ada: { groups: ['staff'] }, eve: { groups: ['visitors'] } },
  });
  t.teardown(() => provider.stop());
  const cluster = await startCluster(t, {
    dataDir: join(dir, 'var'),
    env: {
      SIMULATED_STATIONS: '1',
      HTTP_PORT: String(port),
      OIDC_ISSUER: provider.issuer,
      OIDC_CLIENT_ID: 'khumbu',
      OIDC_CLIENT_SECRET: SECRET,
      OIDC_REDIRECT_URI: redirectUri,
      OIDC_CA_FILE: authority.certificateFile,
      OIDC_PROVIDER_NAME: 'Depot accounts',
      OIDC_REQUESTED_SCOPES: 'groups',
      OIDC_RIGHTS: 'staff=operate',
    },
  });
  const { httpUrl, apiKey } = cluster.endpoints;
  const browser = await startBrowser(t, executable ?? '');
  // The gateway checks the provider's certificate by its authority; this browser has not been told of it.
  const open = (): Promise<Page> => browser.open({ ignoreHTTPSErrors: true });
  const signIn = async (page: Page, account: string): Promise<void> => {
    await link(page, 'Sign in with Depot accounts').click();
    await heading(page, 'Provider').waitFor();
    await page.getByLabel('Account').fill(account);
    await button(page, 'Continue').click();
  };

  await t.test('there, back to where one was, and out again, there too', async (t) => {
    const page = await open();
    await page.goto(`${httpUrl}/#/stations/charger_1`);
    await link(page, 'Sign in with Depot accounts').waitFor();
    t.same(await accessibilityFaults(page), []);
    await signIn(page, 'ada');
    await heading(page, 'charger_1').waitFor();
    t.equal(page.url(), `${httpUrl}/#/stations/charger_1`, 'no code stays in the address');
    await page.getByText('Signed in as oidc:ada').waitFor();
    t.equal(await page.evaluate('document.cookie'), '', 'no script sees a cookie');
    const mine = (await page.context().cookies(httpUrl)).map(({ name, sameSite, httpOnly }) => ({
      name,
      sameSite,
      httpOnly,
    }));
    t.same(mine, [{ name: 'khumbu-session', sameSite: 'Strict', httpOnly: true }]);
    await button(page, 'Reset').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reset', exact: true }).click();
    await heading(page, 'Reset: Restarted').waitFor();
    await page.reload();
    await page.getByText('Signed in as oidc:ada').waitFor();

    await button(page, 'Sign out').click();
    await page.getByText('At Depot accounts you may still be').waitFor();
    t.same(await accessibilityFaults(page), []);
    await link(page, 'Sign out at Depot accounts, too').click();
    await button(page, 'Yes, sign me out').click();
    await heading(page, 'You are signed out').waitFor();
    await page.goto(httpUrl);
    await link(page, 'Sign in with Depot accounts').click();
    await page.getByLabel('Account').waitFor();
    t.pass('the provider asks who it is');
  });

  await t.test('somebody without rights is told so, and may be somebody else', async (t) => {
    const page = await open();
    await page.goto(httpUrl);
    await signIn(page, 'eve');
    await page.getByText('Your account is known, but it may do nothing here.').waitFor();
    await link(page, 'Sign out at Depot accounts, too').waitFor();
    t.notMatch(page.url(), 'failed', 'the address says nothing of it any more');
  });

  await t.test('while the provider is out of reach a key signs in', async (t) => {
    await provider.stop();
    // It looks once in five seconds at most, and until then leads to where nobody is.
    const isNoticed = async (): Promise<boolean> => {
      const { headers } = await fetch(`${httpUrl}/sign-in/oidc`, { redirect: 'manual' });
      return headers.get('location')?.startsWith('/#sign-in-failed=PROVIDER_UNREACHABLE') === true;
    };
    await awaitUntil(isNoticed, 60_000, 'the gateway to notice');
    const page = await open();
    await page.goto(httpUrl);
    await link(page, 'Sign in with Depot accounts').click();
    await page.getByText('cannot be reached, or does not answer as it should').waitFor();
    await page.getByLabel('API key').fill(apiKey);
    await button(page, 'Sign in').click();
    await heading(page, 'Stations').waitFor();
    await provider.startAgain();
    t.pass('nothing else is needed');
  });

  t.same(
    browser.faults.filter((fault) => !fault.includes('ERR_ABORTED')),
    [],
    'no page had an error',
  );
});
