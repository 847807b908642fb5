/** From an MQTT request to Installed at real stations by SSH: the template for makers with file-backed slots, and RAUC. */

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '@khumbu/shared/runtime/abort';
import { freePort } from '@khumbu/shared/runtime/free-port';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasRauc, startRauc } from '@khumbu/test-support/rauc';
import { hasSshd, overSsh, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import { SIGNED, withoutDelayedPermission } from '@khumbu/test-support/statuses';
import t from 'tap';
import { startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, update } from './everest.js';

const TEMPLATE = fileURLToPath(new URL('../../../../infra/station/maker.sh', import.meta.url));
const MB = 1_000_000;
// Each wait has a deadline of its own that says for what; this is for all of them on a busy machine.
t.setTimeout(900_000);

/** What a maker fills in: two files for slots; an install waits until it is let. */
function conf(dir: string): string {
  return `
D='${dir}'
DATA=$D/data
running_slot() { cat "$D/running"; }
slot_device() { echo "$D/slot-$1"; }
boot_next() { echo "$1" >"$D/next"; }
image_fits() { echo begun >>"$D/installs"; while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.1; done; [ ! -e "$D/unfit" ]; }
is_healthy() { :; }
running_version() { echo 1.0; }
boot_reason() { cat "$D/reason" 2>/dev/null || :; }
boot_id() { cat "$D/boot"; }
reboot_host() {
  [ -e "$D/falls-back" ] || cp "$D/next" "$D/running"
  cp /proc/sys/kernel/random/uuid "$D/boot.part"; mv "$D/boot.part" "$D/boot"
}
restart_everest() { :; }
`;
}

/** URL SHA256 OPERATION: a charger that fetches its image itself, in two ranges. */
const PULL = `#!/bin/sh
D=\${0%/*}
curl -fsS -r 0-999999 -o "$D/pulled" "$1" && curl -fsS -C - -o "$D/pulled" "$1" || exit 1
sum=$(sha256sum <"$D/pulled"); [ "\${sum%% *}" = "$2" ] || exit 65
exec "$D/maker" install "$D/pulled" "$2" "$3"
`;

function makeCharger(dir: string): void {
  mkdirSync(dir, { recursive: true });
  copyFileSync(TEMPLATE, join(dir, 'maker'));
  writeFileSync(join(dir, 'pull'), PULL, { mode: 0o755 });
  writeFileSync(join(dir, 'maker.conf'), conf(dir));
  writeFileSync(join(dir, 'running'), 'A\n');
  writeFileSync(join(dir, 'boot'), 'the-first-boot\n');
}

function driverOf(dir: string, sshd: Sshd): RealDriverEntry {
  const maker = (...words: string[]) => [join(dir, 'maker'), ...words];
  return {
    ...overSsh(sshd),
    state_dir: join(dir, 'state'),
    profile: 'command',
    boot_id: maker('boot-id'),
    command: {
      install: maker('install', '{image}', '{sha256}', '{operation}'),
      reboot: maker('reboot'),
      restart_everest: maker('restart-everest'),
      evidence: maker('evidence'),
    },
  };
}

function pullingFrom(depotUrl: string, dir: string, sshd: Sshd): RealDriverEntry {
  const { command, ...entry } = driverOf(dir, sshd);
  if (!command) throw new TypeError('its profile is command');
  const install = [join(dir, 'pull'), '{url}', '{sha256}', '{operation}'];
  return { ...entry, depot_url: depotUrl, command: { ...command, install } };
}

/** Lines of a file that a stand-in writes one into for each install. */
const installs = (dir: string, file = 'installs'): number =>
  existsSync(join(dir, file)) ? readFileSync(join(dir, file), 'utf8').trim().split('\n').length : 0;

await t.test('an update by way of SSH', { skip: hasSshd() ? false : 'there is no sshd' }, async (t) => {
  const dir = t.testdir({ keys: {} });
  const sshd = await startSshd({ dir: join(dir, 'sshd') });
  t.teardown(() => sshd.stop());
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const signer = await makeSigner(join(dir, 'keys'));
  const stations = ['good', 'killed', 'fallen', 'unfit'];
  for (const station of [...stations, 'pulls']) makeCharger(join(dir, station));
  const port = String(await freePort());
  const pulls = pullingFrom(`http://127.0.0.1:${port}`, join(dir, 'pulls'), sshd);
  const cluster = await startCluster(t, {
    dataDir: join(dir, 'data'),
    env: { HTTP_PORT: port },
    stations: {
      ...Object.fromEntries(
        stations.map((station) => [
          station,
          { driver: driverOf(join(dir, station), sshd), certificate: 'any', settle_ms: 0 },
        ]),
      ),
      pulls: { driver: pulls, certificate: 'any', settle_ms: 0 },
    },
  });
  const image = makeImage(9 * MB, 'real');
  const location = origin.serve('/real.bin', image.bytes);
  const begin = async (station: string) => {
    const client = await connect(t, cluster, station);
    t.equal(await update(client, 1, { location, ...signer.signed(image.bytes) }), 'Accepted');
    return client;
  };
  const written = (station: string): string =>
    createHash('sha256')
      .update(readFileSync(join(dir, station, 'slot-B')))
      .digest('hex');

  await t.test('to its end', async (t) => {
    writeFileSync(join(dir, 'good', 'go'), '');
    const client = await begin('good');
    await allowAfter(client, 1, 'SignatureVerified');
    t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
    t.equal(readFileSync(join(dir, 'good', 'running'), 'utf8'), 'B\n');
    t.equal(written('good'), image.sha256);
  });

  await t.test('by a station that fetches the image from a gateway', async (t) => {
    writeFileSync(join(dir, 'pulls', 'go'), '');
    const client = await begin('pulls');
    await allowAfter(client, 1, 'SignatureVerified');
    t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
    t.equal(written('pulls'), image.sha256);
    t.same(readdirSync(join(dir, 'pulls', 'state', 'images')), [], 'nothing was brought');
  });

  await t.test('with the worker and the server killed in the middle of the install', async (t) => {
    const client = await begin('killed');
    await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
    await client.allowInstallation();
    await awaitUntil(() => installs(join(dir, 'killed')) > 0, PATIENCE_MS, 'the install to begin');
    await cluster.kill('ota-worker-1');
    await sshd.restart();
    writeFileSync(join(dir, 'killed', 'go'), '');
    await client.awaitStatus(1, 'Installed', PATIENCE_MS);
    t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
    t.equal(installs(join(dir, 'killed')), 1, 'one install');
    t.equal(written('killed'), image.sha256);
  });

  await t.test('into a slot that does not come up', async (t) => {
    writeFileSync(join(dir, 'fallen', 'go'), '');
    writeFileSync(join(dir, 'fallen', 'falls-back'), '');
    const client = await begin('fallen');
    await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
    await client.allowInstallation();
    await client.awaitStatus(1, 'InstallationFailed', PATIENCE_MS);
    t.notOk(client.statusNames(1).includes('Installed'));
  });

  await t.test('that the station finds unfit', async (t) => {
    writeFileSync(join(dir, 'unfit', 'go'), '');
    writeFileSync(join(dir, 'unfit', 'unfit'), '');
    const client = await begin('unfit');
    await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
    await client.allowInstallation();
    await client.awaitStatus(1, 'InstallVerificationFailed', PATIENCE_MS);
    t.equal(readFileSync(join(dir, 'unfit', 'running'), 'utf8'), 'A\n');
  });

  interface Shown {
    readonly bootEpoch: number;
    readonly firmware?: { readonly by?: string; readonly observedAt: string; readonly ageS: number };
  }
  const shown = async (station: string): Promise<Shown> => (await cluster.get(`/stations/${station}`)) as Shown;

  await t.test('REST shows how it is reached, and what it runs', async (t) => {
    const [update] = ((await cluster.get('/operations?station=good')) as { items: { operationId: string }[] }).items;
    t.match(await shown('good'), {
      driver: 'ssh/command',
      firmware: { slot: 'B', version: '1.0', by: update?.operationId ?? 'none', installedAt: String, ageS: Number },
    });
    t.match(await shown('fallen'), { firmware: { slot: 'A', by: undefined } });
  });

  await t.test('EVerest is told why its host has booted', async (t) => {
    const client = await connect(t, cluster, 'good', { heartbeatMs: 200 });
    t.equal(
      (await askUntilDecided('get_boot_reason', () => client.request('get_boot_reason'))).reply,
      'FirmwareUpdate',
      'by us',
    );
    const { bootEpoch } = await shown('good');
    const asked = Date.now();
    const isSeen = async (): Promise<boolean> =>
      Date.parse((await shown('good')).firmware?.observedAt ?? '') >= asked - 5000;
    await awaitUntil(isSeen, PATIENCE_MS, 'a worker to look at the host');
    writeFileSync(join(dir, 'good', 'reason'), 'Watchdog\n');
    let boots = 0;
    // A question waits some seconds for a look at the host: on a busy machine it comes too late at times.
    const isTold = async (): Promise<boolean> => {
      client.stopHeartbeats();
      boots += 1;
      writeFileSync(join(dir, 'good', 'boot'), `the-watchdog-boot-${boots}\n`);
      client.startHeartbeats(200);
      const { reply } = await askUntilDecided('get_boot_reason', () => client.request('get_boot_reason'));
      return reply === 'Watchdog';
    };
    await awaitUntil(isTold, PATIENCE_MS, 'its watchdog to be told');
    const after = (await shown('good')) as { bootEpoch: number };
    t.ok(after.bootEpoch >= bootEpoch + boots);
    t.match(after, { bootReason: 'Watchdog' });
  });
});

await t.test(
  'an update by RAUC',
  { skip: hasSshd() && hasRauc() ? false : 'there is no sshd or no RAUC' },
  async (t) => {
    const dir = t.testdir({ keys: {} });
    const sshd = await startSshd({ dir: join(dir, 'sshd') });
    t.teardown(() => sshd.stop());
    const origin = await startOrigin();
    t.teardown(() => origin.close());
    const signer = await makeSigner(join(dir, 'keys'));
    const rauc = await startRauc();
    t.teardown(() => rauc.stop());
    const driver: RealDriverEntry = {
      ...overSsh(sshd),
      state_dir: join(rauc.dir, 'state'),
      profile: 'rauc',
      rauc: { program: [...rauc.program] },
      boot_id: ['cat', rauc.bootIdFile],
      reboot: [...rauc.reboot],
      restart_everest: ['true'],
    };
    const cluster = await startCluster(t, {
      dataDir: join(dir, 'data'),
      stations: { gate: { driver, certificate: 'any', settle_ms: 0 } },
    });
    const client = await connect(t, cluster, 'gate');
    const begin = async (requestId: number) => {
      const bundle = readFileSync((await rauc.bundle(`v${requestId}`)).path);
      const location = origin.serve(`/v${requestId}.raucb`, bundle);
      t.equal(await update(client, requestId, { location, ...signer.signed(bundle) }), 'Accepted');
      await client.awaitStatus(requestId, 'SignatureVerified', PATIENCE_MS);
      await client.allowInstallation();
      await awaitUntil(() => installs(rauc.dir, 'begun') >= requestId, PATIENCE_MS, 'the install to begin');
    };
    const letUntilInstalled = async (requestId: number) => {
      // Each handler takes it away again.
      const over = new AbortController();
      const letting = (async () => {
        for (; !over.signal.aborted; await sleep(100, over.signal)) await rauc.let();
      })();
      try {
        await client.awaitStatus(requestId, 'Installed', 2 * PATIENCE_MS);
      } finally {
        over.abort();
        await letting;
      }
      await rauc.unset('go');
      t.same(withoutDelayedPermission(client.statusNames(requestId)), SIGNED);
    };

    await begin(1);
    await cluster.kill('ota-worker-1');
    await letUntilInstalled(1);
    t.equal(installs(rauc.dir, 'begun'), 1, 'one install');
    t.equal(await rauc.primary(), 'B');

    await begin(2);
    await rauc.killService();
    await letUntilInstalled(2);
    t.equal(await rauc.primary(), 'A');
  },
);
