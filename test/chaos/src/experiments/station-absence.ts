/** Stations that disappear at every status, and come back after a minute, after a day, or never. */

import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { type FirmwareSigner, makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import { withoutRepeats } from '@khumbu/test-support/statuses';
import { type Depot, startDepot } from '../depot/depot.js';
import { createHandStation, type HandStation } from '../depot/hand-station.js';
import { passTime } from '../depot/pass-time.js';
import { type Effort, type Experiment, type ExperimentContext, judge } from '../experiment.js';

const PATIENCE_MS = 60_000;
const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const ID = 1;
const NEXT_ID = 2;
const TRIGGER = 'SignatureVerified';
const ORDER = [
  'DownloadScheduled',
  'Downloading',
  'Downloaded',
  'SignatureVerified',
  'InstallScheduled',
  'Installing',
  'InstallRebooting',
  'Installed',
];

type Comeback = 'moment' | 'day' | 'never';
const COMEBACKS: readonly Comeback[] = ['moment', 'day', 'never'];
/** How long a moment lasts. */
const MOMENT_MS: Readonly<Record<Effort, number>> = { short: 6000, long: 60_000 };

interface Scene {
  readonly context: ExperimentContext;
  readonly depot: Depot;
  readonly origin: Origin;
  readonly signer: FirmwareSigner;
}

/** One kind of work at one of its moments. */
interface Moment {
  readonly name: string;
  /** Begin, and leave in the moment. */
  leave(scene: Scene, station: HandStation): Promise<void>;
  /** What is wrong once it is back, or once the depot has given up waiting. */
  judgeBack(scene: Scene, station: HandStation, comeback: Comeback): Promise<string[]>;
  judgeGone(scene: Scene, station: HandStation): Promise<string[]>;
}

interface OperationView {
  readonly operationId: string;
  readonly ended: boolean;
  readonly status: string;
  readonly permissionBy?: string;
  readonly outcome?: { readonly ok: boolean; readonly reason?: string };
}
const operationsOf = async (depot: Depot, kind: string, name: string): Promise<OperationView[]> =>
  ((await depot.get(`/stations/${name}/${kind}`)) as { items: OperationView[] }).items;
const openOf = async (depot: Depot, name: string): Promise<OperationView[]> =>
  ((await depot.get(`/stations/${name}`)) as { operations: OperationView[] }).operations;
const isListed = async (depot: Depot, name: string): Promise<boolean> =>
  (await depot.fetch(`/v1/stations/${name}`)).status === 200;

/** Statuses may only go forward, but for a permission that is asked for again after a restart. */
function orderFaults(heard: readonly string[]): string[] {
  const told = withoutRepeats(heard);
  const bad = told.some((status, index) => {
    const before = told[index - 1];
    if (before === undefined || (status === TRIGGER && before === 'InstallScheduled')) return false;
    return ORDER.indexOf(status) <= ORDER.indexOf(before);
  });
  return bad ? [`heard ${heard.join(' ')}`] : [];
}

function requestFor(scene: Scene, name: string): Record<string, unknown> {
  const image = makeImage(200_000, name);
  return { location: scene.origin.serve(`/${name}.bin`, image.bytes), ...scene.signer.signed(image.bytes) };
}

async function come(station: HandStation): Promise<void> {
  await station.arrive();
  station.allowAlways(TRIGGER);
  station.beatOn();
}

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

function updateAt(status: string, extra: () => Record<string, unknown> = () => ({})): Moment {
  const allowsFirst = ORDER.indexOf(status) > ORDER.indexOf(TRIGGER);
  return {
    name: `update at ${status}`,
    async leave(scene, station) {
      if (allowsFirst) station.allowAlways(TRIGGER);
      const answer = await station.update(ID, { ...requestFor(scene, station.name), ...extra() });
      if (answer !== 'Accepted') throw new Error(`the update was answered ${JSON.stringify(answer)}`);
      if (status !== 'Accepted') await station.awaitHeard(ID, status, PATIENCE_MS);
      if (status === 'InstallScheduled') {
        const isAllowed = async () => (await openOf(scene.depot, station.name))[0]?.permissionBy !== undefined;
        await awaitUntil(isAllowed, PATIENCE_MS, 'the permission to be kept');
      }
      await station.vanish();
    },
    async judgeBack({ depot }, station) {
      if (!station.heard(ID).includes('Installed')) await station.awaitHeard(ID, 'Installed', PATIENCE_MS);
      const charger = await depot.charger(station.name);
      return [
        ...orderFaults(station.heard(ID)),
        ...(charger?.installCount === 1 ? [] : [`${charger?.installCount} installs`]),
      ];
    },
    async judgeGone({ depot }, station) {
      const [update] = await operationsOf(depot, 'firmware-updates', station.name);
      const installs = (await depot.charger(station.name))?.installCount ?? 0;
      // What was begun at the station goes on; a permission alone counts only while EVerest is there.
      const expected = allowsFirst && status !== 'InstallScheduled' ? 'Installed' : undefined;
      const truth = installs === 1 ? 'Installed' : 'InstallationFailed';
      return [
        ...(update?.ended ? [] : [`the update is still ${update?.status}`]),
        ...(update?.status === (expected ?? truth) ? [] : [`it ended ${update?.status} with ${installs} installs`]),
        ...(update?.outcome?.ok === false && !update.outcome.reason ? ['it ended without a reason'] : []),
      ];
    },
  };
}

function uploadAt(status: 'Accepted' | 'Uploading'): Moment {
  const path = (station: HandStation): string => `/logs/${station.name}`;
  return {
    name: `log upload at ${status}`,
    async leave({ origin }, station) {
      const location = origin.receive(path(station));
      const request = { request_id: ID, type: 'DiagnosticsLog', location };
      await askUntilDecided('upload_logs', () => station.client.request('upload_logs', request));
      if (status !== 'Accepted') await station.awaitHeard(ID, status, PATIENCE_MS);
      await station.vanish();
    },
    async judgeBack({ origin }, station) {
      if (!station.heard(ID).includes('Uploaded')) await station.awaitHeard(ID, 'Uploaded', PATIENCE_MS);
      const heard = withoutRepeats(station.heard(ID)).join(' ');
      const archives = origin.uploads.items.filter((upload) => upload.path.startsWith(path(station))).length;
      return [
        ...(heard === 'Uploading Uploaded' ? [] : [`heard ${heard}`]),
        ...(archives === 1 ? [] : [`${archives} archives arrived`]),
      ];
    },
    async judgeGone({ depot }, station) {
      const [upload] = await operationsOf(depot, 'log-uploads', station.name);
      return upload?.ended && upload.status === 'Uploaded' ? [] : [`the upload is ${upload?.status}`];
    },
  };
}

const reset: Moment = {
  name: 'reset',
  async leave({ depot }, station) {
    await station.client.request('get_boot_reason');
    await awaitUntil(() => isListed(depot, station.name), PATIENCE_MS, 'the station to be listed');
    await station.client.publishRaw('reset', JSON.stringify({ scheduled: false, type: 'Hard' }));
    await awaitUntil(async () => (await openOf(depot, station.name)).length > 0, PATIENCE_MS, 'the reset to be kept');
    await station.vanish();
  },
  async judgeBack({ depot }, station, comeback) {
    const { reply } = await askUntilDecided('get_boot_reason', () => station.client.request('get_boot_reason'));
    await awaitUntil(async () => (await openOf(depot, station.name)).length === 0, PATIENCE_MS, 'the reset to be over');
    const starts = (await depot.charger(station.name))?.everestStarts;
    return [
      // A day later it is anybody's guess what switched it on, and the reset is long over.
      ...(reply === (comeback === 'day' ? 'PowerUp' : 'RemoteReset')
        ? []
        : [`the boot reason is ${JSON.stringify(reply)}`]),
      ...(starts === 2 ? [] : [`EVerest started ${starts} times`]),
    ];
  },
  async judgeGone({ depot }, station) {
    const open = await openOf(depot, station.name);
    return open.length === 0 ? [] : ['the reset is still open'];
  },
};

const MOMENTS: readonly Moment[] = [
  updateAt('Accepted'),
  updateAt('DownloadScheduled', () => ({ retrieve_timestamp: inSeconds(8) })),
  updateAt('Downloading'),
  updateAt('Downloaded'),
  updateAt('SignatureVerified'),
  updateAt('InstallScheduled', () => ({ install_timestamp: inSeconds(60) })),
  updateAt('Installing'),
  updateAt('InstallRebooting'),
  uploadAt('Accepted'),
  uploadAt('Uploading'),
  reset,
];
const IN_SHORT: ReadonlySet<string> = new Set([
  'update at Downloading',
  'update at SignatureVerified',
  'update at InstallScheduled',
  'update at InstallRebooting',
  'log upload at Uploading',
  'reset',
]);

/** A station that was given up is served as any other when it comes back in the end. */
async function judgeMuchLater(scene: Scene, station: HandStation): Promise<string[]> {
  const before = station.heard(ID).length;
  await station.arrive();
  station.beatOn();
  const answer = await station.update(NEXT_ID, requestFor(scene, `${station.name}-next`));
  if (answer !== 'Accepted') return [`its next update was answered ${JSON.stringify(answer)}`];
  station.allowAlways(TRIGGER);
  if (station.heard(NEXT_ID).includes(TRIGGER)) await station.client.allowInstallation();
  await station.awaitHeard(NEXT_ID, 'Installed', PATIENCE_MS);
  const late = station.heard(ID).slice(before);
  return late.length === 0 ? [] : [`a month later it was told ${late.join(' ')}`];
}

export const stationAbsence: Experiment = {
  name: 'station-absence',
  promise:
    'A station that disappears at any status finds its statuses and its operation when it comes back after a minute or ' +
    'a day, and is asked anew for a permission of a boot that is over; if it never does, nothing is installed on that ' +
    'permission, everything ends with a true status, and its slot is free.',
  async run(context) {
    const depot = await startDepot(context, { dir: context.dir, simulated: { install_ms: 1000, reboot_ms: 4000 } });
    const origin = await startOrigin();
    context.teardown(() => origin.close());
    const scene: Scene = { context, depot, origin, signer: await makeSigner(context.dir) };
    const moments = context.effort === 'long' ? MOMENTS : MOMENTS.filter(({ name }) => IN_SHORT.has(name));
    const cases = moments.flatMap((moment, index) =>
      COMEBACKS.map((comeback) => ({
        moment,
        comeback,
        station: createHandStation(context, depot, `station-${index}-${comeback}`),
      })),
    );
    type Case = (typeof cases)[number];
    const broken = new Set<Case>();
    const attempt = async (one: Case, what: string, work: () => Promise<string[] | undefined>): Promise<void> => {
      if (broken.has(one)) return;
      try {
        const faults = await work();
        if (faults && !judge(context, `${one.moment.name}: ${what}`, faults)) broken.add(one);
      } catch (error) {
        broken.add(one);
        context.broke(`${one.moment.name}: ${what}`, error instanceof Error ? error.message : String(error));
      }
    };
    const of = (...comebacks: Comeback[]): Case[] => cases.filter(({ comeback }) => comebacks.includes(comeback));
    const back = async (one: Case, what: string): Promise<void> =>
      attempt(one, what, async () => {
        await come(one.station);
        return one.moment.judgeBack(scene, one.station, one.comeback);
      });

    await Promise.all(
      cases.map((one) =>
        attempt(one, 'it leaves', async () => {
          await one.station.arrive();
          one.station.beatOn();
          await one.moment.leave(scene, one.station);
          return undefined;
        }),
      ),
    );
    context.say(`${cases.length} stations have left`);
    const left = performance.now();
    const moment = MOMENT_MS[context.effort];
    await awaitUntil(() => performance.now() - left >= moment, moment + 1000, 'a moment to pass');
    await Promise.all(of('moment').map((one) => back(one, `back after ${moment / 1000} s`)));
    // A day that passes in the middle of an install of a second would be a day of installing.
    const awaits = new Set([TRIGGER, 'InstallScheduled', 'Restarting']);
    const isQuiet = async ({ station }: Case): Promise<boolean> =>
      (await openOf(depot, station.name)).every(({ status }) => awaits.has(status));
    for (const one of of('day', 'never')) {
      await awaitUntil(() => isQuiet(one), PATIENCE_MS, `${one.moment.name} to come to rest`);
    }
    await passTime(depot, DAY_MS - HOUR_MS);
    await Promise.all(of('day').map((one) => back(one, 'back after a day')));
    await passTime(depot, 8 * DAY_MS);
    await awaitUntil(
      async () => (await depot.redis.zcard('khumbu:open')) === 0,
      PATIENCE_MS,
      'everything open to end by its deadline',
    );
    await Promise.all(
      of('never').map((one) => attempt(one, 'given up', () => one.moment.judgeGone(scene, one.station))),
    );
    await passTime(depot, 31 * DAY_MS);
    await Promise.all(
      of('never').map((one) => attempt(one, 'back after a month', () => judgeMuchLater(scene, one.station))),
    );
    // An entry leaves its outbox a moment after it was received.
    let untold: string[] = [];
    const isEmpty = async (): Promise<boolean> => {
      untold = await depot.redis.keys('khumbu:outbox:*');
      return untold.length === 0;
    };
    await awaitUntil(isEmpty, 5000, 'the outboxes to be empty').catch(() => undefined);
    judge(context, 'no status is left over', untold.length === 0 ? [] : [untold.join(' ')]);
    for (const name of depot.services) {
      if (depot.process(name).deaths > 0) context.broke(`${name} lives on`, depot.process(name).output());
    }
  },
};
