/** What a person does with the page, each as one test in a real browser against the whole depot. */
import { readFileSync, statSync } from 'node:fs';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import t from 'tap';
import { accessibilityFaults, findBrowser } from './browser.js';
import { judgeLists } from './page-lists.js';
import { button, heading, inDialog, setPageStage } from './page-stage.js';

t.setTimeout(1_700_000);
const executable = findBrowser();

await t.test('the page', { skip: executable ? false : 'there is no Chromium' }, async (t) => {
  const stage = await setPageStage(t, executable ?? '');
  const { origin, browser, httpUrl, apiKey, ask, signedIn, openStation } = stage;

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
    // The page has shown the end before EVerest heard it.
    const isHeard = async (): Promise<boolean> => {
      await button(page, 'Read again').click();
      return (await frames.getByText('"firmware_update_status":"Installed"').count()) > 0;
    };
    await awaitUntil(isHeard, 90_000, 'EVerest to hear of the end');
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

  await t.test('update with a signed image, without waiting for EVerest', async (t) => {
    const { bytes } = makeImage(200_000, 'signed');
    const signer = await makeSigner(t.testdir());
    const signature = Buffer.from(signer.sign(bytes), 'base64');
    const page = await signedIn();
    await openStation(page, 'charger_3');
    await button(page, 'Update firmware').click();
    await page.getByLabel('Location of the image').fill(origin.serve('/signed.img', bytes));
    await page.getByText('Signature', { exact: true }).click();
    const file = { mimeType: 'application/octet-stream' };
    await page.getByLabel('File of the signature').setInputFiles({ ...file, name: 'image.sig', buffer: signature });
    const certificate = Buffer.from(signer.certificate.certificatePem);
    await page
      .getByLabel('File of the signing certificate')
      .setInputFiles({ ...file, name: 'signer.pem', buffer: certificate });
    await page.getByLabel('Install without waiting for EVerest').check();
    await page.getByRole('dialog').getByText('although EVerest has not allowed it').waitFor();
    await inDialog(page, 'Update firmware').click();
    await heading(page, 'Firmware update: Installed').waitFor();
    await page.getByText('What happened').first().click();
    const happened = page.getByRole('list', { name: 'What happened' }).first();
    t.equal(await happened.getByText('SignatureVerified', { exact: true }).count(), 1);
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

  await judgeLists(t, stage);

  await t.test('the first load is small', async (t) => {
    const page = await browser.open();
    let bytes = 0;
    const bodies: Promise<void>[] = [];
    page.on('response', (response) => {
      if (new URL(response.url()).pathname.startsWith('/v1/')) return;
      bodies.push(
        response.body().then((body) => {
          bytes += body.length;
        }),
      );
    });
    await page.goto(httpUrl, { waitUntil: 'networkidle' });
    await page.getByLabel('API key').waitFor();
    await Promise.all(bodies);
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
