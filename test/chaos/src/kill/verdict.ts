/** What a round came to: whether each act ended as it must, and whether anything is left of it. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { Charger } from '@khumbu/station-drivers/simulated/charger';
import type { UploadAct } from './acts.js';
import type { Asked } from './asking.js';
import {
  archiveFault,
  objectsBelow,
  partLeftovers,
  readObject,
  recordsOf,
  spoolLeftovers,
  stateAt,
} from './evidence.js';
import { judgeStatuses } from './judging.js';
import type { Played, Round } from './round.js';
import type { Stage } from './stage.js';

export interface ActVerdict {
  readonly name: string;
  /** The state of its record when the first fault struck. */
  readonly state: string | undefined;
  /** It was in a status the act is for. */
  readonly hit: boolean;
  readonly faults: readonly string[];
  readonly finalRepeats: number;
  /** Uploads whose content arrived completely, where that was more than one. */
  readonly extraUploads: number;
}

/** These lie between the outbox and the station: what they were sending when they were struck is sent again. */
const BETWEEN: ReadonlySet<string> = new Set(['gateway leader', 'Redis', 'mosquitto']);
/** A station whose heartbeats were missed gets its last status once more. */
const STILL_MS = 500;
const GOOD_END = { update: 'Installed', upload: 'Uploaded', reset: 'Restarted' } as const;
const ACCEPTED: ReadonlySet<unknown> = new Set(['Accepted', 'AcceptedCanceled']);

export async function judgeRound(stage: Stage, round: Round, played: Played) {
  const acts = await Promise.all(played.asked.map((asked) => judgeAct(stage, round, played, asked)));
  const left = [
    ...played.unrest,
    ...played.deaths,
    ...(await spoolLeftovers(stage)).map((file) => `in the spool: ${file}`),
    ...(await partLeftovers(stage)).map((upload) => `unfinished in S3: ${upload}`),
  ];
  return { acts, left };
}

async function judgeAct(
  stage: Stage,
  round: Round,
  { struckAt, stoodStillMs }: Played,
  asked: Asked,
): Promise<ActVerdict> {
  const { act, station } = asked;
  const records = await recordsOf(stage, asked);
  const living = records.filter(({ state }) => state !== 'Withdrawn');
  const record = living[0];
  const faults = station.violations
    .slice(asked.violationsBefore)
    // EVerest ended before it had the answer. Whether a stored answer arrived cannot be known: it counts.
    .filter((what) => !(asked.reply === undefined && what.endsWith('for an id that was never accepted')))
    .map((what) => `violation: ${what}`);
  const heard = station.statuses.filter(
    ({ seq, kind, requestId }) =>
      seq > asked.seqBefore && requestId === asked.requestId && kind === (act.kind === 'upload' ? 'log' : 'firmware'),
  );
  const charger = await stage.depot.charger(act.name);
  let finalRepeats = 0;
  let extraUploads = 0;
  const state = stateAt(records.at(-1), struckAt);
  if (!record) faults.push(...nothingHappened(round, asked, heard.length, charger));
  else if (isUnconfirmed(round, record)) {
    faults.push(...judgeStatuses(heard, [record.state], '').faults, ...nothingDone(asked, charger));
    if (act.kind === 'upload') faults.push(...(await nothingUploaded(stage, act, asked)));
  } else {
    if (living.length > 1)
      faults.push(`${living.length} records of one request: ${living.map((one) => one.state).join(' ')}`);
    if (asked.reply !== undefined && !ACCEPTED.has(asked.reply)) {
      faults.push(`answered ${JSON.stringify(asked.reply)}, and yet it is ${record.state}`);
    }
    if (record.state !== GOOD_END[act.kind]) {
      faults.push(`ended as ${record.state} ${record.outcome?.reason ?? ''} ${record.outcome?.message ?? ''}`);
    }
    if (act.kind !== 'reset') {
      const trigger = act.kind === 'update' && act.form === 'signed' ? 'SignatureVerified' : 'Downloaded';
      const verdict = judgeStatuses(heard, expectedOf(act.statuses, record), trigger);
      faults.push(...verdict.faults);
      finalRepeats = verdict.finalRepeats;
      const between = round.faults.some(({ fault }) => BETWEEN.has(fault.target));
      if (finalRepeats > 0 && !between && stoodStillMs < STILL_MS) {
        faults.push('the final status came again, and nothing explains it');
      }
    }
    faults.push(...judgeCharger(asked, living, charger));
    if (act.kind === 'upload') {
      const uploads = await judgeUpload(stage, act, asked);
      faults.push(...uploads.faults);
      extraUploads = uploads.extra;
    }
  }
  const hit = state !== undefined && act.states.includes(state);
  return { name: act.name, state, hit, faults, finalRepeats, extraUploads };
}

/** A status that is only sent when there was time to wait is expected where the record says that it waited. */
function expectedOf(statuses: readonly string[], record: OperationRecord): string[] {
  return statuses.filter(
    (status) => !status.endsWith('Scheduled') || record.history.some(({ state }) => state === status),
  );
}

/** The broker died with the answer: whether it arrived is unknown, so the operation fails without having begun. */
const isUnconfirmed = (round: Round, { outcome }: OperationRecord): boolean =>
  outcome?.reason === 'answer_unconfirmed' && brokerKilled(round);

const brokerKilled = (round: Round): boolean =>
  round.faults.some(({ fault }) => fault.target === 'mosquitto' && fault.kind === 'SIGKILL');

function nothingDone(asked: Asked, charger: Charger | undefined): string[] {
  const faults: string[] = [];
  if ((charger?.everestStarts ?? 1) !== asked.startsBefore) faults.push('restarted, though nothing was to be done');
  if ((charger?.installCount ?? 0) !== asked.installsBefore) faults.push('installed, though nothing was to be done');
  return faults;
}

async function nothingUploaded(stage: Stage, act: UploadAct, { key }: Asked): Promise<string[]> {
  const arrived =
    act.to === 'http'
      ? stage.origin.uploads.items.filter(({ path }) => path.startsWith(`/${key}/`)).length
      : (await objectsBelow(stage, `logs/${act.name}/${key}`)).length;
  return arrived > 0 ? [`${arrived} archives of what was not to be done`] : [];
}

/** It was not accepted, or was lost together with the broker that alone had it. */
function nothingHappened(round: Round, asked: Asked, statuses: number, charger: Charger | undefined): string[] {
  const faults: string[] = [];
  if (asked.act.kind === 'reset' ? !brokerKilled(round) : ACCEPTED.has(asked.reply)) {
    faults.push(`there is no record of it, though it was ${asked.act.kind === 'reset' ? 'asked' : 'accepted'}`);
  }
  if (statuses > 0) faults.push(`${statuses} statuses of what was not accepted`);
  return [...faults, ...nothingDone(asked, charger)];
}

function judgeCharger(asked: Asked, records: readonly OperationRecord[], charger: Charger | undefined): string[] {
  const { act, installsBefore, startsBefore, imageSha256 } = asked;
  if (act.kind === 'upload') return [];
  if (!charger) return ['there is no charger'];
  const faults: string[] = [];
  const starts = charger.everestStarts - startsBefore;
  if (starts !== 1) faults.push(`EVerest was started ${starts} times`);
  const own = charger.ended.filter(({ operationId }) => records.some(({ id }) => id === operationId));
  const restarts = own.filter(({ step }) => step !== 'install').length;
  if (restarts !== 1) faults.push(`${restarts} reboots or restarts`);
  const installs = charger.installCount - installsBefore;
  if (installs !== (act.kind === 'update' ? 1 : 0)) faults.push(`${installs} installs`);
  const running = charger.slots[charger.running];
  if (act.kind === 'update' && !(running.kind === 'image' && running.imageSha256 === imageSha256)) {
    faults.push('another image runs');
  }
  return faults;
}

async function judgeUpload(stage: Stage, act: UploadAct, { key }: Asked): Promise<{ faults: string[]; extra: number }> {
  if (act.to === 'http') {
    const whole = stage.origin.uploads.items.filter(
      ({ path, status }) => path.startsWith(`/${key}/`) && status === 201,
    );
    const last = whole.at(-1);
    const paths = new Set(whole.map(({ path }) => path));
    const faults = paths.size === 1 ? [] : [`${paths.size} archives at the server`];
    const fault = last && (await archiveFault(last.body));
    return { faults: [...faults, ...(fault === undefined ? [] : [fault])], extra: whole.length - 1 };
  }
  const objects = await objectsBelow(stage, `logs/${act.name}/${key}`);
  const path = objects[0];
  if (path === undefined || objects.length > 1) return { faults: [`${objects.length} objects in S3`], extra: 0 };
  const fault = await archiveFault(await readObject(path));
  return { faults: fault === undefined ? [] : [fault], extra: 0 };
}
