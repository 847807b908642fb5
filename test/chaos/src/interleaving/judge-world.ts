/** What must be true of a world when everything has come to rest, whatever the order in which it happened. */

import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import {
  FIRMWARE_UPDATE_TRANSITIONS,
  type FirmwareUpdateState,
  isFinalUpdateState,
  isInstalling,
} from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { slotField } from '@khumbu/operations/records/keys';
import { isEnded } from '@khumbu/operations/records/record';
import type { Begun, Committed, Entry, Told } from './journal.js';
import { STATION, type World } from './world.js';

const FINAL_STATUSES = new Set([
  'Installed',
  'DownloadFailed',
  'InvalidSignature',
  'InstallVerificationFailed',
  'InstallationFailed',
]);

const commits = (world: World): Committed[] => world.journal.filter((entry) => entry.kind === 'commit');
const effects = (world: World): Begun[] => world.journal.filter((entry) => entry.kind === 'effect');
const told = (world: World, request: Told['request']): Told[] =>
  world.journal.filter((entry) => entry.kind === 'told').filter((entry) => entry.request === request);
const updatesOf = (world: World): FirmwareUpdateRecord[] =>
  [...world.records.values()].filter((record) => record.kind === 'firmware_update');
/** The states a record went through, without repeats. */
const pathOf = (world: World, id: string): string[] => {
  const states = commits(world).flatMap(({ records }) =>
    records.filter((one) => one.id === id).map(({ state }) => state),
  );
  return states.filter((state, index) => state !== states[index - 1]);
};

const STATE_OF_STEP = { install: 'Installing', reboot: 'InstallRebooting', restart: 'Resetting' } as const;

/**
 * The record is about to have this effect; or it has just run out of time doing so, and keeps the station for itself until
 * nothing more can begin.
 */
const mayBegin = ({ step, record }: Begun): boolean =>
  record?.state === (record?.kind === 'reset' ? 'Resetting' : STATE_OF_STEP[step]) ||
  (record !== undefined && 'slotHeld' in record && record.slotHeld === true);

/** At most one effect of each kind for an operation, each only when it may be, and no two operations at once. */
function judgeEffects(world: World): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const effect of effects(world)) {
    const { step, operationId, by, record } = effect;
    const what = `${step} of ${world.aliasOf(operationId)} by ${by}`;
    const key = `${step} ${operationId}`;
    if (seen.has(key)) faults.push(`second ${what}`);
    seen.add(key);
    if (!mayBegin(effect)) faults.push(`${what} began although it was ${record?.state}`);
    const at = world.journal.indexOf(effect);
    const other = updatesOf(world).find(({ id }) => id !== operationId && stateAt(world, id, at) === 'busy');
    if (other) faults.push(`${what} began while ${world.aliasOf(other.id)} was being installed`);
  }
  return faults;
}

/** Whether an update was being installed when the journal had this length. */
function stateAt(world: World, id: string, index: number): 'busy' | 'other' {
  const before = world.journal.slice(0, index).filter((entry) => entry.kind === 'commit');
  const last = before.flatMap(({ records }) => records.filter((one) => one.id === id)).at(-1);
  return last && isInstalling(last.state as FirmwareUpdateState) ? 'busy' : 'other';
}

/** Two updates are both installed only one after the other, the second one asked for when the first had ended. */
function judgePairs(world: World): string[] {
  const installed = effects(world).filter(({ step }) => step === 'install');
  const faults: string[] = [];
  for (const [index, first] of installed.entries()) {
    for (const second of installed.slice(index + 1)) {
      const offered = commits(world).findIndex(({ records }) => records.some(({ id }) => id === second.operationId));
      const ended = commits(world).findIndex(({ records }) =>
        records.some((one) => one.id === first.operationId && isEnded(one)),
      );
      if (ended < 0 || ended > offered)
        faults.push(
          `${world.aliasOf(second.operationId)} was taken on before ${world.aliasOf(first.operationId)} had ended, and both were installed`,
        );
    }
  }
  return faults;
}

/** Nothing follows what was canceled, superseded or answered by default. */
function judgeEnds(world: World): string[] {
  const faults: string[] = [];
  for (const { id, state } of updatesOf(world)) {
    const began = effects(world).filter(({ operationId }) => operationId === id);
    if (['Canceled', 'Superseded', 'Withdrawn'].includes(state) && began.length > 0)
      faults.push(`${world.aliasOf(id)} is ${state} and had an effect on the charger`);
  }
  for (const { reply, operationId = '' } of told(world, 'cancel')) {
    const record = world.records.get(operationId);
    if (reply === 'ended' && record && !isEnded(record)) faults.push('what was said to be canceled goes on');
  }
  for (const { byDefault, operationId = '', request } of world.journal.filter((entry) => entry.kind === 'told')) {
    const record = world.records.get(operationId);
    if (byDefault && request === 'update_firmware' && record && record.state !== 'Withdrawn')
      faults.push(`${world.aliasOf(operationId)} was answered by default and is ${record.state}`);
  }
  for (const { reply, operationId = '' } of told(world, 'update_firmware')) {
    const record = world.records.get(operationId);
    if (reply !== 'Accepted' && reply !== 'AcceptedCanceled') continue;
    if (!record) faults.push(`${world.aliasOf(operationId)} was accepted and is unknown`);
  }
  return faults;
}

/** The statuses EVerest received: in the order of the table, one final status, nothing after it. */
function judgeStatuses(world: World): string[] {
  const faults: string[] = [];
  for (const update of updatesOf(world)) {
    const name = world.aliasOf(update.id);
    const statuses = world.outbox
      .filter(({ operationId }) => operationId === update.id)
      .map(({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status);
    const text = `${name} told ${statuses.join(' ')}`;
    const finals = statuses.filter((status) => FINAL_STATUSES.has(status));
    const isQuiet =
      update.state === 'Withdrawn' ||
      (update.state === 'Superseded' && (update.triggerEpoch === undefined || world.options.dialect === 'ocpp2.x'));
    const wanted = isQuiet || !update.announced ? 0 : 1;
    if (finals.length !== wanted)
      faults.push(`${text}: ${finals.length} final instead of ${wanted}, being ${update.state}`);
    if (finals.length > 0 && !FINAL_STATUSES.has(statuses.at(-1) ?? ''))
      faults.push(`${text}: more after the final one`);
    if (update.state === 'Withdrawn' && statuses.length > 0) faults.push(`${text}: nothing should be`);
    for (const [before, after] of pairs(pathOf(world, update.id))) {
      const next: readonly string[] = Object.values(FIRMWARE_UPDATE_TRANSITIONS[before as FirmwareUpdateState] ?? {});
      const viaScheduled =
        after === 'InstallScheduled' || after === 'SignatureVerified' || after === 'DownloadScheduled';
      if (!next.includes(after) && !viaScheduled) faults.push(`${name} went from ${before} to ${after}`);
    }
  }
  return faults;
}

const pairs = <T>(list: readonly T[]): [T, T][] => list.slice(1).map((item, index) => [list[index] as T, item]);

/** From `true` to the end of a reset that EVerest asked for, the next boot, or the reservation's end, no install begins. */
function judgeReservations(world: World): string[] {
  const faults: string[] = [];
  const askers = new Set(told(world, 'is_reset_allowed').map(({ by }) => by));
  const resets = new Set(
    told(world, 'reset')
      .filter(({ by }) => askers.has(by))
      .map(({ operationId }) => operationId),
  );
  for (const allowed of told(world, 'is_reset_allowed').filter(({ reply }) => reply === true)) {
    const stored = commits(world).findLast(
      ({ gate, by, reservedUntil }) => gate <= allowed.gate && by === allowed.by && reservedUntil !== undefined,
    );
    if (!stored) {
      faults.push('a reset was allowed and nothing reserved');
      continue;
    }
    const from = world.journal.indexOf(stored);
    const until = stored.reservedUntil ?? 0;
    const isOver = ({ id, state }: OperationRecord): boolean =>
      resets.has(id) && !['Accepted', 'Resetting'].includes(state);
    const ends = (entry: Entry, index: number): boolean =>
      entry.kind === 'commit' && (entry.records.some(isOver) || (index > from && entry.beginsBoot === true));
    const over = world.journal.findIndex(ends);
    for (const [index, entry] of world.journal.entries()) {
      const within = index > from && (over < 0 || index < over) && entry.now < until;
      if (within && entry.kind === 'effect' && entry.step === 'install')
        faults.push(`install of ${world.aliasOf(entry.operationId)} began while the station was reserved for a reset`);
    }
    const busy = updatesOf(world).find(({ id }) => stateAt(world, id, from) === 'busy');
    if (busy) faults.push(`a reset was allowed while ${world.aliasOf(busy.id)} was being installed`);
  }
  return faults;
}

/** Nothing is left open: every record ended, slots free, no job. */
async function judgeRest(world: World): Promise<string[]> {
  const faults: string[] = [];
  const { redis } = world.options;
  const { keys, aliasOf } = world;
  for (const id of await redis.zrange(keys.open, '0', '-1')) {
    const record = world.records.get(id);
    faults.push(`${aliasOf(id)} is open for ever, ${record?.state} waiting for ${record?.waitingFor ?? 'nothing'}`);
  }
  for (const record of world.records.values()) {
    const job = expectedJob(record);
    if (job) faults.push(`${aliasOf(record.id)} still wants its job ${job.name}`);
    if (record.kind === 'firmware_update' && isEnded(record) && !isFinalUpdateState(record.state))
      faults.push(`${aliasOf(record.id)} ended as ${record.state}`);
  }
  const fields = await redis.hgetall(keys.station(STATION));
  for (const kind of ['firmware_update', 'reset'] as const) {
    const id = fields[slotField(kind)];
    const record: OperationRecord | undefined = id === undefined ? undefined : world.records.get(id);
    if (record && (!isEnded(record) || ('slotHeld' in record && record.slotHeld)))
      faults.push(`the slot for ${kind} is kept by ${aliasOf(record.id)}`);
  }
  const left = world.board.left();
  if (left.length > 0) faults.push(`jobs are left: ${left.join(', ')}`);
  return faults;
}

/** No actor failed on the way. */
const judgeActors = (world: World): string[] =>
  world.scheduler.actors
    .filter(({ error }) => error !== undefined)
    .map(({ name, error }) => `${name} failed: ${error instanceof Error ? error.message : String(error)}`);

/** Everything that is wrong; empty when all promises held. */
export const judgeWorld = async (world: World): Promise<string[]> => [
  ...judgeActors(world),
  ...judgeEffects(world),
  ...judgePairs(world),
  ...judgeEnds(world),
  ...judgeStatuses(world),
  ...judgeReservations(world),
  ...(await judgeRest(world)),
];
