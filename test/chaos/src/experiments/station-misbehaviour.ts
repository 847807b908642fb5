/** Stations that count wrongly, allow what was not asked for, or share one name. */

import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { type FirmwareSigner, makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import { SIGNED, withoutDelayedPermission } from '@khumbu/test-support/statuses';
import { type Depot, startDepot } from '../depot/depot.js';
import { createHandStation, type HandStation } from '../depot/hand-station.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';

const PATIENCE_MS = 30_000;
/** Single heartbeats are enough to count as there. */
const SELDOM_MS = 60_000;

interface Scene {
  readonly context: ExperimentContext;
  readonly depot: Depot;
  readonly origin: Origin;
  readonly signer: FirmwareSigner;
  /** A station of this name, there and with one heartbeat behind it. */
  readonly station: (name: string) => Promise<HandStation>;
  /** A signed request for an image of its own. */
  readonly request: (name: string) => Record<string, unknown>;
}

type StationView = { bootEpoch: number; conflict: boolean; operations: unknown[] };
const view = async (depot: Depot, name: string): Promise<StationView> =>
  (await depot.get(`/stations/${name}`)) as StationView;

/** Requests and heartbeats of one station are handled in order, so an answer proves what was sent before it. */
const handled = async (station: HandStation): Promise<unknown> =>
  (await station.client.request('is_reset_allowed', 'Soft')).reply;

async function accepted(station: HandStation, request: Readonly<Record<string, unknown>>): Promise<void> {
  const answer = await station.update(1, request);
  if (answer !== 'Accepted') throw new Error(`the update was answered ${JSON.stringify(answer)}`);
}

async function installs(scene: Scene, station: HandStation, requestId: number, expected: readonly string[]) {
  await station.awaitHeard(requestId, 'Installed', PATIENCE_MS);
  const heard = withoutDelayedPermission(station.heard(requestId));
  const charger = await scene.depot.charger(station.name);
  return [
    ...(heard.join(' ') === expected.join(' ') ? [] : [`heard ${heard.join(' ')}`]),
    ...(charger?.installCount === 1 ? [] : [`${charger?.installCount} installs`]),
  ];
}

/** Not a sleep: proof that nothing happens needs time to pass in which it could. */
async function staysFor(ms: number, check: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms;
  await awaitUntil(async () => !(await check()) || performance.now() > end, ms + PATIENCE_MS, 'time to pass');
  return check();
}

/** Ids that prove nothing and must change nothing. */
const NO_IDS = ['-1', '1.5', '"7"', '1e400', '', 'null', '{}', '[3]', 'NaN', '0x10', ' ', '99999999999999999999999'];

const SCENES: Readonly<Record<string, (scene: Scene) => Promise<readonly string[]>>> = {
  async 'heartbeats that jump ahead begin no boot'({ depot, station }) {
    const one = await station('jumps');
    const before = await view(depot, one.name);
    for (const id of [2, 3, 500, 501, 100_000, 2_147_483_646, 2_147_483_647]) await one.beat(id);
    await handled(one);
    const after = await view(depot, one.name);
    return after.bootEpoch === before.bootEpoch ? [] : [`boot epoch ${before.bootEpoch} became ${after.bootEpoch}`];
  },
  async 'a counter that overflows begins one boot'({ depot, station }) {
    const one = await station('overflows');
    await one.beat(2_147_483_646);
    await one.beat(2_147_483_647);
    await handled(one);
    const before = await view(depot, one.name);
    for (const id of [0, 1, 2]) await one.beat(id);
    await awaitUntil(
      async () => (await view(depot, one.name)).bootEpoch > before.bootEpoch,
      PATIENCE_MS,
      'the boot to be counted',
    );
    for (const id of [3, 4]) await one.beat(id);
    await handled(one);
    const { bootEpoch } = await view(depot, one.name);
    return bootEpoch === before.bootEpoch + 1 ? [] : [`${bootEpoch - before.bootEpoch} boots were counted`];
  },
  async 'heartbeats that are no ids change nothing'({ depot, station }) {
    const one = await station('wordy');
    const before = await view(depot, one.name);
    for (const id of NO_IDS) await one.beat(id);
    await one.beat(3);
    await handled(one);
    const after = await view(depot, one.name);
    return after.bootEpoch === before.bootEpoch ? [] : [`boot epoch ${before.bootEpoch} became ${after.bootEpoch}`];
  },
  async 'a repeated heartbeat while permission is awaited asks for it again'(scene) {
    const one = await scene.station('repeats');
    await accepted(one, scene.request('repeats'));
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
    await one.beat(7);
    await one.beat(7);
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS, 2);
    await one.client.allowInstallation();
    one.beatOn(8);
    return installs(scene, one, 1, SIGNED);
  },
  async 'permission without a cause allows nothing later'(scene) {
    const one = await scene.station('causeless');
    for (let times = 0; times < 3; times += 1) await one.client.allowInstallation();
    await accepted(one, scene.request('causeless'));
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
    const waits = await staysFor(2000, async () => !one.heard(1).includes('Installing'));
    await one.client.allowInstallation();
    one.beatOn(2);
    return [...(waits ? [] : ['it was installed without permission']), ...(await installs(scene, one, 1, SIGNED))];
  },
  async 'permission that comes while it downloads does not count'(scene) {
    const { origin, signer } = scene;
    const one = await scene.station('early');
    const image = makeImage(300_000, 'early');
    const location = origin.serve('/early.bin', image.bytes, { stallAfterBytes: 100_000 });
    await accepted(one, { location, ...signer.signed(image.bytes) });
    await one.awaitHeard(1, 'Downloading', PATIENCE_MS);
    await origin.awaitBytes('/early.bin', 100_000, PATIENCE_MS);
    await one.client.allowInstallation();
    // What is answered here reserves nothing.
    await one.client.request('set_system_time', new Date().toISOString());
    origin.serve('/early.bin', image.bytes);
    origin.release();
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
    const waits = await staysFor(2000, async () => !one.heard(1).includes('Installing'));
    await one.client.allowInstallation();
    one.beatOn(2);
    return [...(waits ? [] : ['it was installed without permission']), ...(await installs(scene, one, 1, SIGNED))];
  },
  async 'permission given many times installs once'(scene) {
    const one = await scene.station('generous');
    await accepted(one, scene.request('generous'));
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
    one.beatOn(2);
    await Promise.all(Array.from({ length: 10 }, () => one.client.allowInstallation()));
    await one.awaitHeard(1, 'Installing', PATIENCE_MS);
    await one.client.allowInstallation();
    await one.awaitHeard(1, 'InstallRebooting', PATIENCE_MS);
    await one.client.allowInstallation();
    const faults = await installs(scene, one, 1, SIGNED);
    await one.client.allowInstallation();
    const quiet = await staysFor(1000, async () => (await scene.depot.charger(one.name))?.installCount === 1);
    return [...faults, ...(quiet ? [] : ['it was installed again'])];
  },
  async 'permission of an earlier boot is void'(scene) {
    const one = await scene.station('forgets');
    // Reserved for a reset that never comes: the permission is kept, and no install starts.
    const { reply } = await askUntilDecided('is_reset_allowed', () => one.client.request('is_reset_allowed', 'Soft'));
    await accepted(one, scene.request('forgets'));
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
    await one.client.allowInstallation();
    const waits = await staysFor(500, async () => !one.heard(1).includes('Installing'));
    await one.beat(0);
    await one.awaitHeard(1, 'SignatureVerified', PATIENCE_MS, 2);
    // The reservation has ended with the boot it was made in.
    const waitsOn = await staysFor(3000, async () => !one.heard(1).includes('Installing'));
    await one.client.allowInstallation();
    one.beatOn(1);
    const faults = await installs(scene, one, 1, SIGNED);
    return [
      ...(reply === true ? [] : [`is_reset_allowed was answered ${JSON.stringify(reply)}`]),
      ...(waits ? [] : ['it was installed into the reservation']),
      ...(waitsOn ? [] : ['it was installed by the permission of the boot before']),
      ...faults,
    ];
  },
};

/** Two stations, one identity: noticed, nothing done with either, and over when one of them has left. */
async function duplicateIdentity(scene: Scene, patient: boolean): Promise<readonly string[]> {
  const { context, depot } = scene;
  const first = await scene.station('duplicate');
  await accepted(first, scene.request('duplicate'));
  await first.awaitHeard(1, 'SignatureVerified', PATIENCE_MS);
  const second = createHandStation(context, depot, 'duplicate', SELDOM_MS);
  await second.arrive();
  first.beatOn(40);
  second.beatOn(0);
  await awaitUntil(async () => (await view(depot, 'duplicate')).conflict, PATIENCE_MS, 'the conflict to be seen');
  await first.client.allowInstallation();
  const answer = (await second.client.request('update_firmware', { request_id: 2, ...scene.request('duplicate-2') }))
    .reply;
  const resetAllowed = (await second.client.request('is_reset_allowed', 'Soft')).reply;
  const untouched = await staysFor(2000, async () => ((await depot.charger('duplicate'))?.installCount ?? 0) === 0);
  const faults = [
    ...(answer === 'Rejected'
      ? []
      : [`update_firmware of a duplicate identity was answered ${JSON.stringify(answer)}`]),
    ...(resetAllowed === false ? [] : ['a duplicate identity may reset']),
    ...(untouched ? [] : ['an image was installed on a duplicate identity']),
  ];
  if (!patient) return faults;
  await second.vanish();
  await awaitUntil(async () => !(await view(depot, 'duplicate')).conflict, 90_000, 'the conflict to be over');
  // The survivor starts anew, so that it receives the trigger again.
  first.allowAlways('SignatureVerified');
  first.beatOn(0);
  await first.awaitHeard(1, 'Installed', PATIENCE_MS);
  const charger = await depot.charger('duplicate');
  return [...faults, ...(charger?.installCount === 1 ? [] : [`${charger?.installCount} installs in the end`])];
}

export const stationMisbehaviour: Experiment = {
  name: 'station-misbehaviour',
  promise:
    'A station that counts wrongly, allows what nobody asked for or shares its name changes nothing but its own boot ' +
    'epoch: no install without a permission of this very boot, none twice, none on a duplicate identity.',
  async run(context) {
    const depot = await startDepot(context, { dir: context.dir, env: { RESET_RESERVATION_S: '120' } });
    const origin = await startOrigin();
    context.teardown(() => origin.close());
    const signer = await makeSigner(context.dir);
    const scene: Scene = {
      context,
      depot,
      origin,
      signer,
      async station(name) {
        const one = createHandStation(context, depot, name, SELDOM_MS);
        await one.arrive();
        await one.beat(1);
        await awaitUntil(
          async () => (await depot.fetch(`/v1/stations/${name}`)).status === 200,
          PATIENCE_MS,
          `${name} to be listed`,
        );
        return one;
      },
      request(name) {
        const image = makeImage(200_000, name);
        return { location: origin.serve(`/${name}.bin`, image.bytes), ...signer.signed(image.bytes) };
      },
    };
    const scenes = {
      ...SCENES,
      'two stations of one name': (s: Scene) => duplicateIdentity(s, context.effort === 'long'),
    };
    const attempt = async ([what, play]: [string, (scene: Scene) => Promise<readonly string[]>]): Promise<void> => {
      try {
        judge(context, what, await play(scene));
      } catch (error) {
        context.broke(what, error instanceof Error ? error.message : String(error));
      }
    };
    await Promise.all(Object.entries(scenes).map(attempt));
    for (const name of depot.services) {
      if (depot.process(name).deaths > 0) context.broke(`${name} lives on`, depot.process(name).output());
    }
  },
};
