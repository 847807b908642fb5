/** Every way a log upload can fail, played; and the upload that succeeds once the fault is mended, byte by byte. */
import { chmodSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { whyNoJournal } from '@khumbu/test-support/journal';
import { startOrigin } from '@khumbu/test-support/origin';
import { openRedis } from '@khumbu/test-support/redis';
import { hasSshd } from '@khumbu/test-support/sshd';
import { whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t, { type Test } from 'tap';
import type { Fault, Site } from './faults/fault.js';
import { ftpFaults, realServerFaults } from './faults/file-server-faults.js';
import { journalFaults, journalLines } from './faults/journal-faults.js';
import { beginUpload, type UploadStage } from './faults/run-upload.js';
import { makeStation, recordsIn, type TestStation, textIn } from './faults/station.js';
import { stationFaults } from './faults/station-faults.js';
import { storeFaults } from './faults/store-faults.js';
import { webFaults } from './faults/web-faults.js';

t.setTimeout(900_000);
// Every folder above the homes of the users must be open to them.
const dir = await mkdtemp(join(tmpdir(), 'khumbu-upload-faults-'));
chmodSync(dir, 0o755);
t.teardown(() => rm(dir, { recursive: true, force: true }));
const { redis } = await openRedis(t, join(dir, 'redis'));
const station = makeStation();
// Asked before the first test: tap takes a pause between two of them for the end.
const whyNo = {
  servers: (await whyNoVsftpd()) ?? (hasSshd() && hasAccounts() ? undefined : 'no sshd with users of its own'),
  journal: await whyNoJournal(),
};
const stage: UploadStage = { redis, dir, logs: station.openLogs };

async function playFault(t: Test, fault: Fault, expected: string): Promise<void> {
  const { status, reason, retried } = fault;
  const { broken, mend, arrived } = await fault.play();
  const only = await beginUpload(stage, broken, 1);
  const ended = await only.oneTry();
  t.match(ended, { state: status, outcome: { ok: false, reason } }, `it ends as ${status}, ${reason}`);
  t.same(await only.told(), ['Uploading', status], 'one final status');

  const patient = await beginUpload(stage, broken, 3);
  const after = await patient.oneTry();
  t.equal(after.endedAt === undefined, retried, retried ? 'it is tried again' : 'no try can help');
  if (retried) t.same(await patient.told(), ['Uploading'], 'a failed try is silent');

  const mended: Site = { ...broken, ...(await mend()) };
  const goesOn = retried && mended.location === broken.location;
  const next = goesOn ? patient : await beginUpload(stage, mended, 1);
  const good = await next.oneTry(mended);
  t.match(good, { state: 'Uploaded', outcome: { ok: true } }, JSON.stringify(good.outcome));
  t.same(await next.told(), ['Uploading', 'Uploaded']);
  t.ok((await recordsIn(await arrived())) === expected, 'the window of the source, byte by byte');
}

async function playAll(t: Test, faults: readonly Fault[], { expected }: TestStation = station): Promise<void> {
  for (const fault of faults) await t.test(fault.fault, (t) => playFault(t, fault, expected));
}

let played = 0;
const counted = (faults: readonly Fault[]): readonly Fault[] => {
  played += faults.length;
  return faults;
};

await t.test('http and https', async (t) => playAll(t, counted(await webFaults(t))));
await t.test('replies of FTP servers', async (t) => playAll(t, counted(await ftpFaults(t))));
await t.test('vsftpd and OpenSSH', { skip: whyNo.servers ?? false }, async (t) =>
  playAll(t, counted(await realServerFaults(t, dir))),
);
await t.test('the object store of the depot', async (t) => {
  const stations = { small: station, large: makeStation(4200) };
  const { small, large } = await storeFaults(t, join(dir, 's3'), stations);
  await playAll(t, counted(small));
  await playAll(t, counted(large), stations.large);
});
await t.test('the station and the worker', async (t) => playAll(t, counted(await stationFaults(t, dir, station))));

await t.test('the journal, while it is read', { skip: whyNo.journal ?? false }, async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  for (const { fault, isWhole, openLogs } of await journalFaults(t, dir)) {
    played += 1;
    await t.test(fault, async (t) => {
      const path = `/journal-${played}`;
      const upload = await beginUpload(stage, { location: origin.receive(path), logs: openLogs }, 1);
      t.match(await upload.oneTry(), { state: 'Uploaded', outcome: { ok: true } }, 'what can be read arrives');
      t.same(await upload.told(), ['Uploading', 'Uploaded']);
      const archive = origin.uploads.items.find((each) => each.path === path)?.body ?? Buffer.alloc(0);
      const records = await recordsIn(archive);
      const manifest = JSON.parse(await textIn(archive, 'manifest.json')) as { left_out: unknown[] };
      const all = journalLines.join('');
      if (isWhole) {
        t.ok(records === all, 'the window of the journal, byte by byte');
        t.same(manifest.left_out, []);
        return;
      }
      const lines = records.split(/(?<=\n)/);
      t.ok(lines.length > 10 && lines.length < journalLines.length, `${lines.length} records`);
      t.ok(all.startsWith(records), 'a beginning of the window, of whole records');
      t.match(
        manifest.left_out,
        [{ source: 'journal', code: /^(?:incomplete|truncated)$/ }],
        'and the manifest says so',
      );
    });
  }
});
t.ok(played >= 40, `${played} faults`);
