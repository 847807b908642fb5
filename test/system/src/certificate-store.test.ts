/** Installed is told only of a station whose EVerest has its certificates as before the update. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateLeaf } from '@khumbu/shared/contract/topics';
import { EVSE_SECURITY_MODULE } from '@khumbu/station-simulator/everest-options';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { UNSIGNED, withoutRepeats } from '@khumbu/test-support/statuses';
import t, { type Test } from 'tap';
import { type Cluster, startCluster } from './cluster.js';
import { PATIENCE_MS, runningImage } from './everest.js';
import { firmwareStatuses, startStation } from './simulators.js';

const PREFIX = 'depot/{station}/';
type Statuses = Partial<Record<CertificateLeaf, string>>;

const origin = await startOrigin();
t.teardown(() => origin.close());
const image = makeImage(100_000, 'certificates');
const location = origin.serve('/image.bin', image.bytes);

/** An update; `certificates` says what EVerest has in its nth boot, from 1. Resolves with the operation in the end. */
async function updated(t: Test, cluster: Cluster, name: string, certificates: (boot: number) => Statuses) {
  const station = await startStation(t, cluster, name, {
    topicPrefix: PREFIX,
    certificates: () => certificates(station.boots.length),
  });
  const ask = () => station.request('update_firmware', { request_id: 1, location });
  t.equal((await askUntilDecided('update_firmware', ask)).reply, 'Accepted');
  await station.awaitStatus(({ status }) => status === 'Installed' || status === 'InstallationFailed', 2 * PATIENCE_MS);
  const { items } = (await cluster.get(`/operations?station=${name}`)) as { items: { outcome?: object }[] };
  t.equal(runningImage(await cluster.charger(name)), image.sha256, 'its host runs the image in any case');
  return { statuses: withoutRepeats(firmwareStatuses(station, 1)), operation: items[0] };
}

await t.test('an update whose station has its certificates, and ones whose stations have lost them', async (t) => {
  const asked = { module_id: EVSE_SECURITY_MODULE, answer_within_s: 2 };
  const patient = { module_id: EVSE_SECURITY_MODULE };
  const busy = { ...asked, answer_within_s: 20 };
  const cluster = await startCluster(t, {
    dataDir: join(t.testdir({}), 'data'),
    env: { MQTT_TOPIC_PREFIX: PREFIX },
    stations: { kept: { evse_security: patient }, lost: { evse_security: busy }, silent: { evse_security: asked } },
  });
  // Its clock is not set when it boots: what it has is not valid for a while.
  let questions = 0;
  const late = (): Statuses => ({ CSMS: ++questions > 2 ? 'Accepted' : 'NotFoundValid', V2G: 'NotFound' });
  const kept = (boot: number): Statuses => (boot === 1 ? { CSMS: 'Accepted', V2G: 'NotFound' } : late());
  const lost = (boot: number): Statuses => ({ CSMS: 'Accepted', V2G: boot === 1 ? 'Accepted' : 'NotFound' });
  const silent = (boot: number): Statuses => (boot === 1 ? { CSMS: 'Accepted' } : {});
  const [whole, without, mute] = await Promise.all([
    updated(t, cluster, 'kept', kept),
    updated(t, cluster, 'lost', lost),
    updated(t, cluster, 'silent', silent),
  ]);
  t.same(whole.statuses, UNSIGNED);
  t.match(whole.operation, { outcome: { ok: true } });

  const failed = UNSIGNED.map((status) => (status === 'Installed' ? 'InstallationFailed' : status));
  t.same(without.statuses, failed);
  t.match(without.operation, {
    outcome: { reason: 'certificate_store', message: 'it was V2G: Accepted, and is V2G: NotFound' },
  });
  t.same(mute.statuses, failed);
  t.match(mute.operation, {
    outcome: { reason: 'certificate_store', message: 'it was CSMS: Accepted, and is CSMS: no answer' },
  });
  for (const log of ['gateway-1', 'ota-worker-1'])
    t.notMatch(readFileSync(join(cluster.dataDir, 'log', `${log}.log`), 'utf8'), /a-password-of-a-key/, log);
});
