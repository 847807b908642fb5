/**
 * The moments at which a clock jumps: each brings a station of its own there and says afterwards what should have
 * become of it.
 */

import { performance } from 'node:perf_hooks';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import { awaitUntil } from '@khumbu/test-support/events';
import { type FirmwareSigner, makeImage } from '@khumbu/test-support/firmware';
import type { Behaviour, Origin } from '@khumbu/test-support/origin';
import { SIGNED, withoutDelayedPermission, withoutRepeats } from '@khumbu/test-support/statuses';
import type { Depot } from '../../depot/depot.js';
import type { HandStation } from '../../depot/hand-station.js';

/** Far less than an hour, and more than a busy machine needs. */
const PATIENCE_MS = 30_000;
const TRIGGER = 'SignatureVerified';
const SLACK_MS = 1000;
const ANSWERED_MS = 20_000;
const DATE_MS = 60_000;
/** How long an effect lasts that a clock is to jump in. */
const EFFECT_MS = 30_000;
/** Until the jump comes, and then some. */
const LEFT_MS = 3 * PATIENCE_MS;

export interface Jump {
  readonly byMs: number;
  /** The clock of Redis' host, by which dates are judged, is among those that jump. */
  readonly movesDates: boolean;
}

export interface Scene {
  readonly depot: Depot;
  readonly origin: Origin;
  readonly signer: FirmwareSigner;
  readonly pauseS: number;
  readonly reservationMs: number;
  readonly jump: Jump;
  readonly say: (line: string) => void;
  /** A station of this name, there, with heartbeats going on. */
  readonly station: (moment: string) => Promise<HandStation>;
}

/** Brought there; `after` says what is wrong when the jump has been survived. */
export interface Parked {
  readonly station: HandStation;
  readonly after: () => Promise<readonly string[]>;
  /** Whether it is there still; asked when the clock is about to jump. */
  readonly isThere: () => Promise<boolean>;
  /** It waits for a date that has gone an hour ahead; `after` is for when the clock has come back. */
  readonly waitsOn?: true;
}

interface OperationView {
  readonly waitingFor?: string;
  readonly status: string;
}
interface StationView {
  readonly operations: readonly OperationView[];
}
export const operationsOf = async (depot: Depot, name: string): Promise<readonly OperationView[]> =>
  ((await depot.get(`/stations/${name}`)) as StationView).operations;

export const awaitListed = async (depot: Depot, name: string): Promise<void> => {
  const isListed = async (): Promise<boolean> => (await depot.fetch(`/v1/stations/${name}`)).status === 200;
  await awaitUntil(isListed, PATIENCE_MS, `${name} to be listed`);
};

/** Asked until there is an answer: after a kill, or on a slow machine, a gateway answers 503. */
async function awaitOperations(
  depot: Depot,
  name: string,
  accept: (operations: readonly OperationView[]) => boolean,
  what: string,
): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    // One that was on its way to a gateway that was killed may never end.
    const look = (gateway: number): Promise<Response> =>
      depot.fetch(`/v1/stations/${name}`, { signal: AbortSignal.timeout(ANSWERED_MS) }, gateway);
    const response = await Promise.any([0, 1].map(look));
    return response.status === 200 && accept(((await response.json()) as StationView).operations);
  };
  await awaitUntil(() => isSo().catch(() => false), PATIENCE_MS, `${name} ${what}`);
}

/** Until it waits for that, or until that is over: then the moment has passed, which `isThere` tells. */
const awaitWaiting = async (
  { depot }: Scene,
  station: HandStation,
  reason: string,
  isOver: () => boolean,
): Promise<void> => {
  const waits = ({ waitingFor }: OperationView): boolean => waitingFor === reason;
  await awaitOperations(depot, station.name, (all) => isOver() || all.some(waits), `to wait for ${reason}`);
};

const awaitNothingOpen = ({ depot }: Scene, station: HandStation): Promise<void> =>
  awaitOperations(depot, station.name, (all) => all.length === 0, 'to have nothing open');

/** The charger is in the middle of this step. */
const isAt = (scene: Scene, station: HandStation, step: string) => async (): Promise<boolean> =>
  (await scene.depot.charger(station.name))?.effect?.step === step;
const unheard = (station: HandStation, status: string) => async (): Promise<boolean> =>
  !station.heard(1).includes(status);

const unless = (holds: boolean, fault: string): readonly string[] => (holds ? [] : [fault]);

async function ask(
  { origin, signer, say }: Scene,
  station: HandStation,
  request: Readonly<Record<string, unknown>> = {},
  behaviours: Behaviour | readonly Behaviour[] = {},
): Promise<string> {
  const image = makeImage(300_000, station.name);
  const path = `/${station.name}.bin`;
  const location = origin.serve(path, image.bytes, behaviours);
  const whole = { location, ...request, ...signer.signed(image.bytes) };
  await untilAccepted(station, say, 'the update', () => station.update(1, whole), 'Accepted');
  return path;
}

/** What was rejected because a machine was too slow for the reply may be asked again, as a CSMS does. */
async function untilAccepted(
  station: HandStation,
  say: Scene['say'],
  what: string,
  act: () => Promise<unknown>,
  wanted: unknown,
): Promise<void> {
  const isAccepted = async (): Promise<boolean> => {
    const answer = await act();
    if (answer !== wanted) say(`${station.name}: ${what} was answered ${JSON.stringify(answer)}`);
    return answer === wanted;
  };
  await awaitUntil(isAccepted, PATIENCE_MS, `${station.name}: ${what} to be accepted`);
}

/** One install, one final status, every status in its order, nothing left open. */
async function installedOnce(
  scene: Scene,
  station: HandStation,
  expected: readonly string[] = SIGNED,
): Promise<readonly string[]> {
  const { depot } = scene;
  await station.awaitHeard(1, 'Installed', PATIENCE_MS);
  await awaitNothingOpen(scene, station);
  const told = station.heard(1);
  const heard = expected.includes('InstallScheduled') ? withoutRepeats(told) : withoutDelayedPermission(told);
  const charger = await depot.charger(station.name);
  return [
    ...unless(heard.join(' ') === expected.join(' '), `heard ${heard.join(' ')}`),
    ...unless(charger?.installCount === 1, `${charger?.installCount} installs`),
  ];
}

/** Resolves with how long it took, from `since` (performance). */
async function awaitSince(since: number, check: () => boolean, patienceMs: number, what: string): Promise<number> {
  await awaitUntil(check, patienceMs, what);
  return performance.now() - since;
}

const keepsPause = (tookMs: number, pauseMs: number, what: string): readonly string[] =>
  unless(tookMs >= pauseMs - SLACK_MS && tookMs < pauseMs + LEFT_MS, `${what} took ${Math.round(tookMs)} ms`);

/** A date soon, or one that only the jump brings near. */
const dateFor = ({ byMs, movesDates }: Jump): number => Date.now() + (movesDates && byMs > 0 ? byMs / 2 : DATE_MS);

const scheduled =
  (member: 'retrieve_timestamp' | 'install_timestamp', status: string, before: string) =>
  async (scene: Scene, station: HandStation): Promise<Parked> => {
    station.allowAlways(TRIGGER);
    const date = dateFor(scene.jump);
    await ask(scene, station, { [member]: new Date(date).toISOString() });
    await station.awaitHeard(1, status, PATIENCE_MS);
    const expected = SIGNED.flatMap((one) => (one === before ? [status, one] : [one]));
    const { movesDates, byMs } = scene.jump;
    const dueInMs = movesDates ? 0 : date - Date.now();
    const begun = awaitSince(performance.now(), () => station.heard(1).includes(before), LEFT_MS, before);
    // Looked at in `after`; until then it may fail without anybody's notice.
    begun.catch(() => undefined);
    return {
      station,
      isThere: unheard(station, before),
      after: async () => [
        ...unless((await begun) >= dueInMs - SLACK_MS, `${before} before its date`),
        ...(await installedOnce(scene, station, expected)),
      ],
      ...(movesDates && byMs < 0 ? { waitsOn: true as const } : {}),
    };
  };

/** For stations that are to be caught in an effect; all others are quick. */
export const SIMULATED: Readonly<Record<string, SimulatedSettings>> = {
  Installing: { install_ms: EFFECT_MS },
  InstallRebooting: { reboot_ms: EFFECT_MS },
  'a reset in progress': { reboot_ms: EFFECT_MS },
};
export const stationName = (moment: string, round: number): string => `${moment.replaceAll(/\W+/g, '-')}-${round}`;

/** Where the station is when the clock jumps. */
export const MOMENTS: Readonly<Record<string, (scene: Scene, station: HandStation) => Promise<Parked>>> = {
  async Downloading(scene, station) {
    station.allowAlways(TRIGGER);
    const path = await ask(scene, station, {}, { bytesPerSecond: 20_000 });
    await scene.origin.awaitBytes(path, 20_000, PATIENCE_MS);
    return { station, isThere: unheard(station, 'Downloaded'), after: () => installedOnce(scene, station) };
  },
  async 'the pause between two downloads'(scene, station) {
    station.allowAlways(TRIGGER);
    const { origin, pauseS } = scene;
    const path = await ask(scene, station, { retries: 3, retry_interval_s: pauseS }, [{ status: 503 }, {}]);
    await awaitUntil(() => origin.stats(path).requests > 0, PATIENCE_MS, 'the first try');
    const pause = awaitSince(performance.now(), () => origin.stats(path).requests > 1, LEFT_MS, 'the second try');
    pause.catch(() => undefined);
    await awaitWaiting(scene, station, 'retry', () => origin.stats(path).requests > 1);
    return {
      station,
      isThere: async () => origin.stats(path).requests === 1,
      after: async () => [
        ...keepsPause(await pause, pauseS * 1000, 'the pause between two downloads'),
        ...(await installedOnce(scene, station)),
      ],
    };
  },
  DownloadScheduled: scheduled('retrieve_timestamp', 'DownloadScheduled', 'Downloading'),
  InstallScheduled: scheduled('install_timestamp', 'InstallScheduled', 'Installing'),
  async 'waiting for permission'(scene, station) {
    await ask(scene, station);
    await station.awaitHeard(1, TRIGGER, PATIENCE_MS);
    return {
      station,
      isThere: unheard(station, 'Installing'),
      async after() {
        const early = station.heard(1).includes('Installing') ? ['installed without permission'] : [];
        await station.client.allowInstallation();
        return [...early, ...(await installedOnce(scene, station))];
      },
    };
  },
  async Installing(scene, station) {
    station.allowAlways(TRIGGER);
    await ask(scene, station);
    const isThere = isAt(scene, station, 'install');
    await awaitUntil(isThere, PATIENCE_MS, `${station.name} to install`);
    return { station, isThere, after: () => installedOnce(scene, station) };
  },
  async InstallRebooting(scene, station) {
    station.allowAlways(TRIGGER);
    await ask(scene, station);
    const isThere = isAt(scene, station, 'reboot');
    await awaitUntil(isThere, PATIENCE_MS, `${station.name} to reboot`);
    return { station, isThere, after: () => installedOnce(scene, station) };
  },
  async 'the pause between two uploads'(scene, station) {
    const { origin, pauseS } = scene;
    const path = `/${station.name}`;
    const location = origin.receive(path, [{ status: 503 }, {}]);
    const request = { request_id: 1, type: 'DiagnosticsLog', location, retries: 3, retry_interval_s: pauseS };
    const upload = async (): Promise<unknown> => {
      const { reply } = await station.client.request('upload_logs', request);
      return (reply as { upload_logs_status?: unknown }).upload_logs_status;
    };
    await untilAccepted(station, scene.say, 'the upload', upload, 'Accepted');
    const tries = (): number => origin.requests.items.filter((one) => one.path.startsWith(path)).length;
    await awaitUntil(() => tries() > 0, PATIENCE_MS, 'the first upload');
    const pause = awaitSince(performance.now(), () => tries() > 1, LEFT_MS, 'the second upload');
    pause.catch(() => undefined);
    await awaitWaiting(scene, station, 'retry', () => tries() > 1);
    return {
      station,
      isThere: async () => tries() === 1,
      async after() {
        const tookMs = await pause;
        await station.awaitHeard(1, 'Uploaded', PATIENCE_MS);
        const heard = withoutRepeats(station.heard(1)).join(' ');
        await awaitNothingOpen(scene, station);
        return [
          ...keepsPause(tookMs, pauseS * 1000, 'the pause between two uploads'),
          ...unless(heard === 'Uploading Uploaded', `heard ${heard}`),
        ];
      },
    };
  },
  async 'reserved for a reset'(scene, station) {
    await ask(scene, station);
    await station.awaitHeard(1, TRIGGER, PATIENCE_MS);
    const reserved = performance.now();
    const reset = async (): Promise<unknown> => (await station.client.request('is_reset_allowed', 'Soft')).reply;
    await untilAccepted(station, scene.say, 'the reset', reset, true);
    await station.client.allowInstallation();
    await awaitWaiting(scene, station, 'reset_reservation', () => station.heard(1).includes('Installing'));
    const free = awaitSince(reserved, () => station.heard(1).includes('Installing'), LEFT_MS, 'the reservation to end');
    return {
      station,
      isThere: unheard(station, 'Installing'),
      after: async () => [
        ...keepsPause(await free, scene.reservationMs, 'the reservation'),
        ...(await installedOnce(scene, station)),
      ],
    };
  },
  async 'a reset in progress'(scene, station) {
    const { depot } = scene;
    await station.client.publishRaw('reset', JSON.stringify({ type: 'Hard', scheduled: false }));
    const isThere = isAt(scene, station, 'reboot');
    await awaitUntil(isThere, PATIENCE_MS, `${station.name} to be reset`);
    return {
      station,
      isThere,
      async after() {
        await awaitNothingOpen(scene, station);
        const starts = (await depot.charger(station.name))?.everestStarts;
        return unless(starts === 2, `EVerest has started ${starts} times`);
      },
    };
  },
};
