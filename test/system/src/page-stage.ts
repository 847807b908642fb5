/** The depot, a browser, and what all tests of the page do with both. */
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { startOrigin } from '@khumbu/test-support/origin';
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import { startBrowser } from './browser.js';
import { startCluster } from './cluster.js';

export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
export const inDialog = (page: Page, name: string) =>
  page.getByRole('dialog').getByRole('button', { name, exact: true });
export const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });

export type PageStage = Awaited<ReturnType<typeof setPageStage>>;

/** Three simulated stations, and a server with images. */
export async function setPageStage(t: Test, executable: string) {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const cluster = await startCluster(t, {
    dataDir: `${t.testdir()}/var`,
    env: { SIMULATED_STATIONS: '3' },
    simulated: { install_ms: 300, reboot_ms: 300 },
  });
  const { httpUrl, apiKey } = cluster.endpoints;
  const browser = await startBrowser(t, executable);

  const ask = async (path: string, body?: object): Promise<{ readonly path: string }> => {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const once = () =>
      fetch(`${httpUrl}/v1${path}`, {
        method: body ? 'POST' : 'GET',
        headers,
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const response = await askUntilServed(once, 90_000, path);
    return (await response.json()) as { path: string };
  };
  /** A window in which somebody is signed in, at the stations. */
  const signedIn = async (options: Parameters<typeof browser.open>[0] = {}): Promise<Page> => {
    const page = await browser.open(options);
    // As over plain HTTP in the network of a depot, where browsers do not have it; on loopback they do.
    await page.addInitScript({ content: 'delete Crypto.prototype.randomUUID' });
    const { path } = await ask('/session/codes', { seconds: 600 });
    await page.goto(`${httpUrl}${path}`);
    await page.getByRole('link', { name: 'charger_1' }).waitFor();
    return page;
  };
  const openStation = async (page: Page, name: string): Promise<void> => {
    await page.getByRole('link', { name }).click();
    await heading(page, name).waitFor();
  };
  return { origin, cluster, httpUrl, apiKey, browser, ask, signedIn, openStation };
}
