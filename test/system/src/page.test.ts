/** What a person does with the page, each as one test in a real browser against the whole depot. */
import { readFileSync, statSync } from 'node:fs';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import type { Page } from 'playwright-core';
import t from 'tap';
import { accessibilityFaults, findBrowser, startBrowser } from './browser.js';
import { startCluster } from './cluster.js';

t.setTimeout(900_000);
const executable = findBrowser();

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const inDialog = (page: Page, name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true });
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });

await t.test('the page', { skip: executable ? false : 'there is no Chromium' }, async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const cluster = await startCluster(t, {
    dataDir: `${t.testdir()}/var`,
    env: { SIMULATED_STATIONS: '3' },
    simulated: { install_ms: 300, reboot_ms: 300 },
  });
  const { httpUrl, apiKey } = cluster.endpoints;
  const browser = await startBrowser(t, executable ?? '');

  const ask = async (path: string, body?: object): Promise<{ readonly path: string }> => {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const response = await fetch(`${httpUrl}/v1${path}`, {
      method: body ? 'POST' : 'GET',
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return (await response.json()) as { path: string };
  };
  /** A window in which somebody is signed in, at the stations. */
  const signedIn = async (options: Parameters<typeof browser.open>[0] = {}): Promise<Page> => {
    const page = await browser.open(options);
    const { path } = await ask('/session/codes', { seconds: 600 });
    await page.goto(`${httpUrl}${path}`);
    await page.getByRole('link', { name: 'charger_1' }).waitFor();
    return page;
  };
  const openStation = async (page: Page, name: string): Promise<void> => {
    await page.getByRole('link', { name }).click();
    await heading(page, name).waitFor();
  };

  await t.test('sign in with the key, and out again', async (t) => {
    const page = await browser.open();
    await page.goto(httpUrl);
    await page.getByLabel('API key').fill('wrong');
    await button(page, 'Sign in').click();
    await page.getByText('This key is not known.').waitFor();
    await page.getByLabel('API key').fill(apiKey);
    await button(page, 'Sign in').click();
    await heading(page, 'Stations').waitFor();
    t.equal(await page.evaluate('document.cookie'), '', 'no script sees the cookie');
    t.equal(await page.evaluate('Object.keys(localStorage).length + Object.keys(sessionStorage).length'), 0);
    await page.reload();
    await heading(page, 'Stations').waitFor();
    await button(page, 'Sign out').click();
    await page.getByLabel('API key').waitFor();
    await page.reload();
    await page.getByLabel('API key').waitFor();
  });

  await t.test('a link signs in once, and does not stay in the address', async (t) => {
    const { path } = await ask('/session/codes', { seconds: 600 });
    const first = await browser.open();
    await first.goto(`${httpUrl}${path}`);
    await heading(first, 'Stations').waitFor();
    t.notMatch(first.url(), 'sign-in');
    const second = await browser.open();
    await second.goto(`${httpUrl}${path}`);
    await second.getByText('This link was used').waitFor();
    t.pass('the second was told so');
  });

  await t.test('update a station and watch it', async (t) => {
    const location = origin.serve('/good.img', makeImage(3_000_000, 'page').bytes);
    const page = await signedIn();
    await openStation(page, 'charger_1');
    await button(page, 'Update firmware').click();
    await page.getByRole('dialog').getByText('cars go on charging').waitFor();
    await page.getByLabel('Location of the image').fill(location);
    await inDialog(page, 'Update firmware').click();
    await page.getByText('permission to install').waitFor();
    await page.getByText('lifted by EVerest, you').waitFor();
    await button(page, 'Allow installation').click();
    await page.getByRole('dialog').getByText('A car that charges stops charging').waitFor();
    await inDialog(page, 'Allow installation').click();
    await heading(page, 'Firmware update: Installed').waitFor();
    await page.getByText('What happened').first().click();
    for (const status of ['Downloading', 'Installing', 'InstallRebooting', 'Installed'])
      t.ok(
        await page.getByRole('list', { name: 'What happened' }).first().getByText(status, { exact: true }).count(),
        status,
      );
  });

  await t.test('look what a station said and was told over MQTT', async (t) => {
    const page = await signedIn();
    await openStation(page, 'charger_1');
    await button(page, 'Show MQTT frames').click();
    const frames = page.getByRole('list', { name: 'Frames' });
    await frames.getByText('times since').first().waitFor();
    await page.getByLabel('Only frames with').fill('firmware_update_status');
    await frames.getByText('"firmware_update_status":"Installed"').waitFor();
    t.equal(await frames.getByText('from the station').count(), 0);
    t.same(await accessibilityFaults(page), []);
  });

  await t.test('find out why an update failed', async (t) => {
    const page = await signedIn();
    await openStation(page, 'charger_2');
    await button(page, 'Update firmware').click();
    await page.getByLabel('Location of the image').fill(`${origin.url}/nothing.img`);
    await inDialog(page, 'Update firmware').click();
    await heading(page, 'Firmware update: DownloadFailed').waitFor();
    await page.getByText('http_404').first().waitFor();
    t.pass('the reason is there');
  });

  await t.test('read the logs of a station', async (t) => {
    const page = await signedIn();
    await openStation(page, 'charger_3');
    await button(page, 'Fetch logs').click();
    await inDialog(page, 'Fetch logs').click();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download the archive' }).click();
    const file = await (await download).path();
    t.ok(statSync(file).size > 1000);
    t.same([...readFileSync(file).subarray(0, 2)], [0x1f, 0x8b], 'it is gzip');
  });

  await t.test('look into the logs of a station while they are written', async (t) => {
    const page = await signedIn();
    await openStation(page, 'charger_2');
    await page.getByLabel('Only lines with').fill('reset|restarted|booted');
    await button(page, 'Look').click();
    const lines = page.getByRole('list', { name: 'Lines of the logs' });
    await lines.getByText(/booted slot A/).waitFor();
    const before = await lines.getByRole('listitem').count();
    await ask('/stations/charger_2/reset', { type: 'Soft' });
    await lines.getByRole('listitem').nth(before).waitFor();
    t.same(await accessibilityFaults(page), []);
    await button(page, 'Stop').click();
    await button(page, 'Stop').waitFor({ state: 'detached' });
    await page.getByLabel('Only lines with').fill('[');
    await button(page, 'Look').click();
    await page.getByRole('alert').getByText('not in the syntax of RE2').waitFor();
    t.pass('what is wrong with an expression is said');
  });

  await t.test('reset a station, by the keyboard alone', async (t) => {
    const page = await signedIn();
    await openStation(page, 'charger_3');
    await button(page, 'Reset').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByText('EVerest restarts').waitFor();
    await page.keyboard.press('Escape');
    t.equal(await page.getByRole('dialog').count(), 0, 'Escape asks for nothing');
    await page.keyboard.press('Enter');
    await page.getByLabel('What is restarted').selectOption('Hard');
    await page.getByText('The host restarts').waitFor();
    await inDialog(page, 'Reset').focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Reset: Restarted').waitFor();
  });

  await t.test('two people see the same', async (t) => {
    const [one, other] = await Promise.all([signedIn(), signedIn()]);
    await Promise.all([openStation(one, 'charger_2'), openStation(other, 'charger_2')]);
    await button(one, 'Fetch logs').click();
    await inDialog(one, 'Fetch logs').click();
    await heading(other, 'Logs: Uploaded').waitFor();
    t.pass('without a reload');
  });

  await t.test('see what the depot holds, and what was asked of all stations', async (t) => {
    const page = await signedIn();
    await page.getByRole('link', { name: 'Images' }).click();
    await heading(page, /good\.img/).waitFor();
    await page.getByRole('link', { name: 'Operations' }).click();
    await heading(page, /Reset: Restarted charger_3/).waitFor();
    t.pass('both are there');
  });

  await t.test('choose stations and operations by a filter, which stands in the address', async (t) => {
    const page = await signedIn();
    const filter = page.getByLabel('Filter', { exact: true });
    await filter.fill('station = charger_2');
    await page.getByText('1 of 3 stations').waitFor();
    t.equal(await page.getByRole('link', { name: 'charger_1' }).count(), 0);
    await filter.fill('state = gone');
    await page.getByText('Character 9: gone where one of these should be: here, away').waitFor();
    t.equal(await filter.getAttribute('aria-invalid'), 'true');
    t.same(await accessibilityFaults(page), []);
    await page.reload();
    await page.getByText('1 of 3 stations').waitFor();
    t.equal(await filter.inputValue(), 'station = charger_2', 'the last one that could be read');
    await page.getByText('How to filter').click();
    t.same(await accessibilityFaults(page), [], 'with the language explained');
    await page.getByRole('link', { name: 'Operations' }).click();
    await filter.fill('kind = reset and station = charger_3');
    await page.getByText('1 operation').waitFor();
    await filter.fill('kind = gone');
    await page.getByText('gone where one of these should be').waitFor();
    t.pass('what the gateway alone knows is said as well');
  });

  await t.test('order something for many stations at once', async (t) => {
    const page = await signedIn();
    const order = async (name: string): Promise<void> => {
      await button(page, name).click();
      await page.getByRole('dialog').waitFor();
    };
    await button(page, 'Choose all 3').click();
    await page.getByText('3 stations chosen').waitFor();
    await order('Fetch logs');
    await page.getByRole('dialog').getByText('At 3 stations (charger_1, charger_2, charger_3)').waitFor();
    await page.getByLabel('Only say what would be answered').check();
    t.same(await accessibilityFaults(page), [], 'the dialog');
    await inDialog(page, 'Fetch logs').click();
    await heading(page, 'Fetch logs: 3 would be accepted, 0 refused. Nothing was done.').waitFor();
    await button(page, 'Close').click();

    await order('Update firmware');
    await page.getByLabel('Location of the image').fill('gopher://nowhere/a.img');
    await inDialog(page, 'Update firmware').click();
    await heading(page, 'Update firmware: 0 accepted, 3 refused').waitFor();
    await page.getByText('(LOCATION_SCHEME_UNKNOWN)').first().waitFor();
    t.same(await accessibilityFaults(page), [], 'what became of it');

    await page.getByLabel('Choose charger_2').uncheck();
    await page.getByText('2 stations chosen').waitFor();
    await order('Fetch logs');
    await page.getByLabel('Title').fill('All but one');
    await inDialog(page, 'Fetch logs').click();
    await heading(page, 'Fetch logs: 2 accepted, 0 refused').waitFor();
    await page.getByRole('link', { name: 'What becomes of it' }).click();
    await page.getByText('2 operations').waitFor();
    for (const station of ['charger_1', 'charger_3']) await heading(page, `Logs: Uploaded ${station}`).waitFor();
    t.pass('they are found by their order');
  });

  await t.test('who did what, and that nothing of it is missing', async (t) => {
    const page = await signedIn();
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByLabel('What', { exact: true }).fill('reset');
    await page.getByLabel('Station', { exact: true }).fill('charger_3');
    await button(page, 'Show').click();
    const rows = page.getByRole('row').filter({ hasText: 'Reset' });
    await rows.filter({ hasText: 'local (REST)' }).first().waitFor();
    await rows.getByText('Details').first().click();
    await button(page, 'Check that it is whole').click();
    await page.getByText(/^It is whole: \d+ entries/).waitFor();
    t.same(await accessibilityFaults(page), []);
  });

  await t.test('the first load is small', async (t) => {
    const page = await browser.open();
    let bytes = 0;
    page.on('response', (response) => {
      if (new URL(response.url()).pathname.startsWith('/v1/')) return;
      void response.body().then((body) => {
        bytes += body.length;
      });
    });
    await page.goto(httpUrl, { waitUntil: 'networkidle' });
    await page.getByLabel('API key').waitFor();
    t.ok(bytes > 10_000 && bytes < 120_000, `${bytes} bytes, not compressed`);
  });

  await t.test('axe finds nothing on any page, on a phone and in the dark too', async (t) => {
    for (const options of [{}, { viewport: { width: 360, height: 720 } }, { colorScheme: 'dark' as const }]) {
      const page = await signedIn(options);
      t.same(await accessibilityFaults(page), [], `stations ${JSON.stringify(options)}`);
      await openStation(page, 'charger_1');
      await heading(page, /Firmware update/).waitFor();
      t.same(await accessibilityFaults(page), [], `a station ${JSON.stringify(options)}`);
      const width = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
      t.equal(width, 0, 'nothing stands beyond the edge');
      await button(page, 'Update firmware').click();
      await page.getByRole('dialog').waitFor();
      t.same(await accessibilityFaults(page), [], `a dialog ${JSON.stringify(options)}`);
    }
    const page = await browser.open();
    await page.goto(httpUrl);
    await page.getByLabel('API key').waitFor();
    t.same(await accessibilityFaults(page), [], 'signing in');
  });

  t.same(
    browser.faults.filter((fault) => !fault.includes('ERR_ABORTED')),
    [],
    'no page had an error',
  );
});
