/** Make the pictures of README.md and docs: a run of its own, and what a browser shows of it. Needs Chromium. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, prepare, Refusal, ROOT } from './prepare.mjs';

const FOLDER = join(ROOT, 'docs/pictures');
const SIZE = { width: 1100, height: 640 };

/** Stations at different points of their lives. */
async function arrange({ httpUrl, apiKey }, origin) {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  const ask = async (path, body) => {
    const response = await fetch(`${httpUrl}/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return response.json();
  };
  const update = (station, location) => ask(`/stations/${station}/firmware-updates`, { location });
  await update('charger_1', origin.serve('/charger-2.1.img', Buffer.alloc(3_000_000, 1)));
  await update(
    'charger_2',
    origin.serve('/charger-2.2.img', Buffer.alloc(40_000_000, 2), { bytesPerSecond: 1_500_000 }),
  );
  await update('charger_3', `${origin.url}/nothing.img`);
  await ask('/stations/charger_3/log-uploads', {});
  return (await ask('/session/codes', {})).path;
}

await main(async () => {
  await prepare();
  const load = (path) => import(join(ROOT, path));
  const { findCommand, PROGRAMS } = await load('packages/embedded-run/dist/src/programs.js');
  const executablePath = findCommand(PROGRAMS.chromium.commands);
  if (!executablePath) throw new Refusal('chromium not found: apt-get install -y chromium');
  const { chromium } = createRequire(join(ROOT, 'test/system/package.json'))('playwright-core');
  const { startOrigin } = await load('packages/test-support/dist/src/origin.js');
  const { startRun } = await load('test/system/dist/src/document-commands.js');
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-pictures-'));
  const origin = await startOrigin();
  const { run, line } = await startRun(join(dir, 'var'));
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: SIZE });
    // Stations come last.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    await page.goto(`${line.httpUrl}${await arrange(line, origin)}`);
    await page.getByText('permission to install').waitFor();
    await page.getByText('left', { exact: false }).first().waitFor();
    await page.screenshot({ path: join(FOLDER, 'stations.png') });
    await page.getByRole('link', { name: 'charger_1' }).click();
    await page.getByRole('button', { name: 'Allow installation' }).click();
    await page.getByRole('dialog').waitFor();
    await page.screenshot({ path: join(FOLDER, 'station.png') });
  } finally {
    await browser.close();
    await run.end('SIGTERM');
    await origin.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
