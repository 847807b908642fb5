/** What a person does with the lists of the page: choose, order for many, see who did what. Called by `page.test.ts`, which has the depot. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { awaitUntil } from '@khumbu/test-support/events';
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import { accessibilityFaults } from './browser.js';
import { button, heading, inDialog, type PageStage } from './page-stage.js';

const NOT_STORED = { type: 'about:blank', title: 'Not stored', status: 503, code: 'NOT_STORED' };
const INTERNAL = { type: 'about:blank', title: 'Internal error', status: 500, code: 'INTERNAL' };
/** As a gateway answers whose store went away at the last of them. */
const HALF_DECIDED = {
  orderId: 'bulk-0000000000000000',
  dryRun: false,
  total: 3,
  accepted: 2,
  refused: 1,
  results: [
    { stationId: 'charger_1', status: 202, operationId: 'log-1' },
    { stationId: 'charger_2', status: 202, operationId: 'log-2' },
    { stationId: 'charger_3', status: 503, problem: { ...NOT_STORED, detail: 'The depot could not store it.' } },
  ],
};

/** Requests of these addresses are sent once the returned function is called. */
async function hold(page: Page, address: RegExp): Promise<() => void> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(address, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

/** After a station was reset, and another one updated. */
export async function judgeLists(
  t: Test,
  { cluster, browser, httpUrl, signedIn, openStation }: PageStage,
): Promise<void> {
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

  await t.test('what an earlier question found is not shown for the next one', async (t) => {
    const page = await signedIn();
    await page.getByRole('link', { name: 'Operations' }).click();
    const filter = page.getByLabel('Filter', { exact: true });
    await filter.fill('kind = reset');
    await heading(page, /^Reset: /)
      .first()
      .waitFor();
    const answerOperations = await hold(page, /\/v1\/operations\?.*log_upload/);
    await filter.fill('kind = log_upload');
    await page.waitForURL(/log_upload/);
    await page.getByText('Loading ...').waitFor();
    t.equal(await heading(page, /^Reset: /).count(), 0);
    answerOperations();
    await heading(page, /^Logs: /)
      .first()
      .waitFor();

    await page.getByRole('link', { name: 'Audit' }).click();
    const what = page.getByLabel('What', { exact: true });
    const resets = page.getByRole('cell', { name: /^Reset / });
    await what.fill('reset');
    await button(page, 'Show').click();
    await resets.first().waitFor();
    const answerAudit = await hold(page, /\/v1\/security-log\?.*firmware_update/);
    await what.fill('firmware_update');
    await button(page, 'Show').click();
    await resets.first().waitFor({ state: 'detached' });
    answerAudit();
    await page
      .getByRole('cell', { name: /^Firmware update / })
      .first()
      .waitFor();
    t.pass('it is shown when it is there');
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
    t.equal(await page.getByText('All but one').count(), 2, 'with their title');
    for (const station of ['charger_1', 'charger_3']) await heading(page, `Logs: Uploaded ${station}`).waitFor();
    t.pass('they are found by their order');
  });

  await t.test('an order that is half decided goes on, and does nothing twice', async (t) => {
    const page = await signedIn();
    const keys: (string | undefined)[] = [];
    await page.route('**/v1/log-uploads', async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      if (keys.length === 1) await route.fulfill({ json: HALF_DECIDED });
      else if (keys.length === 2) await route.fulfill({ status: 500, json: INTERNAL });
      else await route.continue();
    });
    await button(page, 'Choose all 3').click();
    await button(page, 'Fetch logs').click();
    await inDialog(page, 'Fetch logs').click();
    await heading(page, 'Fetch logs: 2 accepted, 0 refused, 1 not decided yet').waitFor();
    await page.getByText('not decided yet: The depot could not store it. (NOT_STORED)').waitFor();
    await page.getByText('Internal error (INTERNAL)').waitFor();
    t.same(await accessibilityFaults(page), []);
    await button(page, 'Ask those again that have not decided').click();
    await heading(page, 'Fetch logs: 3 accepted, 0 refused').waitFor();
    t.equal(await button(page, 'Ask those again that have not decided').count(), 0);
    t.equal(keys.length, 3);
    t.match(keys[0], /^.{16,}$/);
    t.same(new Set(keys).size, 1, 'the same order');
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

  await t.test('what a key may not do has no button', async (t) => {
    const file = `${cluster.dataDir}/api-keys.json`;
    const keys = JSON.parse(readFileSync(file, 'utf8')) as object[];
    const viewer = {
      name: 'viewer',
      sha256: createHash('sha256').update('viewer-key').digest('hex'),
      scopes: ['read'],
    };
    writeFileSync(file, JSON.stringify([...keys, viewer]));
    const page = await browser.open();
    await page.goto(httpUrl);
    const signIn = async (): Promise<boolean> => {
      await page.getByLabel('API key').fill('viewer-key');
      const answered = page.waitForResponse((response) => response.url().endsWith('/v1/session'));
      await button(page, 'Sign in').click();
      return (await answered).ok();
    };
    // The gateway reads the file as soon as it has changed.
    t.ok(await awaitUntil(signIn, 60_000, 'the key to be known'));
    await page.getByRole('link', { name: 'charger_1' }).waitFor();
    t.equal(await page.getByRole('checkbox').count(), 0);
    t.equal(await page.getByRole('link', { name: 'Audit' }).count(), 0);
    await openStation(page, 'charger_1');
    await heading(page, 'Operations').waitFor();
    for (const name of ['Update firmware', 'Reset', 'Look', 'Show MQTT frames'])
      t.equal(await button(page, name).count(), 0);
    await page.getByRole('link', { name: 'Images' }).click();
    await heading(page, /good\.img/).waitFor();
    t.equal(await button(page, 'Bring in').count(), 0);
    t.same(await accessibilityFaults(page), []);
  });
}
