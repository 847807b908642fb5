/**
 * What all requests have in common at the front desk: the stored answer comes first; else read, decide, and commit the
 * decision together with its answer. What has to be done once the answer is out comes back as `afterReply`.
 */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { Deadlines } from '@khumbu/operations/records/expire';
import { isEnded, type OperationRecord } from '@khumbu/operations/records/kinds';
import {
  confirmOffer,
  isOffer,
  type OfferContext,
  type OfferedRecord,
  offer,
  supersede,
  withdrawOffer,
} from '@khumbu/operations/records/offer';
import { ended, inState, newRecordBase, type Origin } from '@khumbu/operations/records/record';
import type { Change, StationFields, StoredAnswer } from '@khumbu/operations/records/store';
import {
  dialectOf,
  NO_RESET_ALLOWED,
  readStationState,
  type SlotKind,
  STATION_FIELDS,
  type StationState,
  slotField,
} from '@khumbu/operations/stations/station-state';
import type { SystemTimeRecord } from '@khumbu/operations/system-time/record';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { CertificateVerdict } from './decide-update.js';
import type { Attempt, DeskStore } from './desk-store.js';
import { abandonedQueue, type IsAbandoned, requireWorkers, WORKERS_GONE } from './needed-workers.js';

export interface FrontDeskDeps {
  readonly desk: DeskStore;
  /** The same connection recipe as the desk's; for its clock. */
  readonly redis: Redis;
  readonly jobs: Jobs;
  /** Not configured: always answered by default, and nothing is kept of it, the answer least of all. */
  readonly isRefused?: (station: string) => boolean;
  /** `undefined`: not configured, or two stations share the name. */
  readonly profileOf: (station: string) => StationProfile | undefined;
  readonly locations: Pick<LocationPolicy, 'check'>;
  readonly judgeCertificate: (
    request: FirmwareUpdateRequest,
    profile: StationProfile,
  ) => Promise<CertificateVerdict | undefined>;
  readonly deadlines: Deadlines;
  /** How long an allowed reset keeps installs away. */
  readonly resetReservationMs: number;
  /** Nobody works on this queue. */
  readonly isAbandoned: IsAbandoned;
  /** How long the broker may keep a request whose answer is out, but not confirmed: its offer waits for that. */
  readonly redeliveryMs: number;
  readonly log: Logger;
  readonly now: Now;
}

/** Who asks. `answerKey` names the request: the same key gets the same answer. */
export interface Asker {
  readonly station: string;
  readonly answerKey: string;
  readonly origin: Origin;
  /** Certainly a new request, whatever is stored under its key. */
  readonly isFresh?: true;
  /** Who asks over REST. */
  readonly caller?: string;
  /** REST may push aside what EVerest asked for. */
  readonly replace?: boolean;
  /** How long the answer is kept, where it is not for as long as EVerest could ask again. */
  readonly answerTtlMs?: number;
}

export interface Answer {
  readonly reply: unknown;
  readonly operationId?: string;
  /** Why it was refused, for logs and fleet tools. */
  readonly reason?: string;
  /** This question was the first sign of a new boot. */
  readonly begun?: boolean;
  /** It was decided before, and may have been heard then. */
  readonly repeated?: true;
  /** To be called once the answer is out; starts the work. Safe to repeat. */
  readonly afterReply?: () => Promise<void>;
}

export interface Captured {
  readonly state: StationState;
  readonly profile: StationProfile | undefined;
  readonly answer: StoredAnswer | undefined;
}

export type Verdict =
  /** Keep the answer, change nothing else. */
  | {
      readonly kind: 'answer';
      readonly reply: unknown;
      readonly reason?: string;
      readonly fields?: Record<string, string | undefined>;
      /** This question is the first sign of a new boot. */
      readonly begun?: true;
      /** What the decision was made from and must still be so. */
      readonly guard?: (change: Change) => void;
    }
  | {
      readonly kind: 'offer';
      readonly reply: unknown;
      readonly record: OfferedRecord;
      readonly replaces?: OfferedRecord;
    };

export const askedBy = ({ caller }: Asker): { askedBy?: string } => (caller === undefined ? {} : { askedBy: caller });

const isGiven = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;

/** More than a depot has stations. */
const MAX_REMEMBERED = 10_000;

export type Admission = ReturnType<typeof createAdmission>;

export function createAdmission(deps: FrontDeskDeps) {
  const { desk, jobs, deadlines } = deps;
  const { store } = desk;
  const { now } = deps;

  /** What was last read of each station or written, for a first try that reads nothing. */
  const remembered = new Map<string, StationFields>();
  /** Names come and go; what is not remembered is read. */
  const keepInMind = (station: string, fields: StationFields): void => {
    if (deps.isRefused?.(station)) return;
    if (remembered.size >= MAX_REMEMBERED && !remembered.has(station)) remembered.clear();
    remembered.set(station, fields);
  };

  const captured = (station: string, state: StationState, answer: StoredAnswer | undefined): Captured => {
    // Only the leader notices that two stations share a name; it is stored for the others.
    const profile = state.conflictSince === undefined ? deps.profileOf(station) : undefined;
    return { state, profile, answer };
  };
  const capture = async ({ station, answerKey }: Asker): Promise<Captured> => {
    const { fields, answer } = await store.stationAndAnswer(station, answerKey);
    keepInMind(station, fields);
    return captured(station, readStationState(fields), answer);
  };
  const remember = (station: string, written: Readonly<Record<string, string | undefined>>): void => {
    const fields = { ...remembered.get(station), ...written };
    keepInMind(station, Object.fromEntries(Object.entries(fields).filter(isGiven)));
  };

  const inSlot = async <R extends OperationRecord>(state: StationState, kind: SlotKind): Promise<R | undefined> => {
    const id = state.slot(kind);
    return id === undefined ? undefined : ((await store.load(id)) as R | undefined);
  };

  const contextOf = (station: string, state: StationState): OfferContext => ({
    now: now(),
    dialect: dialectOf(deps.profileOf(station), state),
    bootEpoch: state.bootEpoch,
    deadlines,
  });

  const replacedBy = async (record: OfferedRecord): Promise<OfferedRecord | undefined> => {
    if (record.supersedes === undefined) return undefined;
    const replaces = await store.load(record.supersedes);
    return replaces && !isEnded(replaces) ? (replaces as OfferedRecord) : undefined;
  };

  /** What rests for an offer, oldest first. More than one where an offer was replaced before its answer was out. */
  const restingFor = async (record: OfferedRecord): Promise<OfferedRecord[]> => {
    const replaced = await replacedBy(record);
    if (!replaced) return [];
    return isOffer(replaced) ? [...(await restingFor(replaced)), replaced] : [replaced];
  };

  /**
   * The result is the record that wants its job; one that was confirmed before may not have got it. `fresh`: the offer as
   * it was just committed; should it have changed since, the commit fails and the next try reads.
   */
  const confirmation = async (
    operationId: string,
    fresh?: OfferedRecord,
  ): Promise<Attempt<OperationRecord | undefined>> => {
    const record = fresh ?? (await store.load(operationId));
    if (!record || isEnded(record)) return { change: undefined, result: undefined };
    if (!isOffer(record)) return { change: undefined, result: record };
    const fields = (fresh && remembered.get(record.station)) ?? (await store.station(record.station));
    const context = contextOf(record.station, readStationState(fields));
    const resting = await restingFor(record);
    const replaces = resting.pop();
    const change = store.change();
    for (const older of resting) supersede(change, older, record.origin, context);
    const confirmed = confirmOffer(change, record, replaces, context);
    return { change, result: confirmed.record };
  };

  /** Commit outside the desk's own guard, for what has to be set right whatever came before. */
  const insist = async (change: Change): Promise<void> => {
    if (!(await store.commit(change))) throw new CodedError('CONFLICT', 'the record has moved on');
  };

  /** The answer is out: let the work begin. An offer that was withdrawn stays so. Safe to repeat. */
  const confirm = async (operationId: string, offered?: OfferedRecord): Promise<void> => {
    let fresh = offered;
    const accepted = await desk.decide<OperationRecord | undefined>(
      () => {
        const known = fresh;
        fresh = undefined;
        return confirmation(operationId, known);
      },
      // The answer is out, so a confirmation of unknown fate is made again, not taken back.
      async () => {
        const { change, result } = await confirmation(operationId);
        if (change) await insist(change);
        if (result) await jobs.ensure(result);
      },
    );
    if (accepted) await jobs.ensure(accepted);
  };

  /** A time that was not accepted is not set; a newer one stays. */
  const forgetTime = async (record: SystemTimeRecord, asker: Asker): Promise<void> => {
    if (record.state !== 'Pending' || record.answerKey !== asker.answerKey) return;
    const done = inState(record, 'Done', now(), 'withdrawn');
    await insist(store.change().put(ended(done, now(), { ok: false, reason: 'withdrawn' })));
  };

  /** No record was made, or none that an offer stands for: the answer alone is set right. */
  const takeBackAnswer = async (asker: Asker, name: RequestChannelName): Promise<void> => {
    const fallback = store.change();
    // REST was told that nothing is known, and may ask again.
    if (asker.origin === 'rest') fallback.forgetAnswer(asker.station, asker.answerKey);
    else fallback.answer(asker.station, asker.answerKey, { reply: fallbackReply(name) });
    if (name === 'is_reset_allowed') {
      const { station } = asker;
      const { fields, resetReservedBy } = readStationState(await store.station(station));
      // REST asks without reserving, and a later question may have reserved anew.
      if (resetReservedBy === asker.answerKey) {
        const { resetReservedBy: by } = STATION_FIELDS;
        fallback.expectStation(station, by, fields[by]).setStation(station, NO_RESET_ALLOWED);
      }
    }
    await insist(fallback);
  };

  /** The default was answered after all: take back what was stored, wherever it stands. */
  const takeBack = async (asker: Asker, name: RequestChannelName, operationId: string | undefined): Promise<void> => {
    const record = operationId === undefined ? undefined : await store.load(operationId);
    if (!record || record.kind === 'set_system_time') {
      await takeBackAnswer(asker, name);
      return record && forgetTime(record, asker);
    }
    // Withdrawn, or confirmed by a leader that got the request again and answered it: that answer stands.
    if (!isOffer(record)) return;
    const state = readStationState(await store.station(asker.station));
    const replaces = await replacedBy(record);
    const inPlace = record.heldFor === undefined ? undefined : await store.load(record.heldFor);
    const successor = inPlace && isOffer(inPlace) ? inPlace : undefined;
    const { change, resumed } = withdrawOffer(
      store.change(),
      record,
      replaces,
      state.slot(record.kind),
      contextOf(asker.station, state),
      successor,
    );
    await insist(change);
    if (resumed) await jobs.ensure(resumed);
  };

  /** Defaults that could not be stored when they were told; what is stored under their names already stays. */
  const keepDefaults = async (
    told: readonly (Pick<Asker, 'station' | 'answerKey'> & Pick<Answer, 'reply'>)[],
  ): Promise<void> => {
    const change = store.change();
    for (const { station, answerKey, reply } of told) change.answerIfNone(station, answerKey, { reply });
    await insist(change);
  };

  const answerAgain = ({ reply, operationId, reason }: StoredAnswer): Answer => ({
    reply,
    repeated: true,
    ...(operationId === undefined ? {} : { operationId, afterReply: () => confirm(operationId) }),
    ...(reason === undefined ? {} : { reason }),
  });

  /** What the same request was answered before. Rejects when that cannot be read now. */
  const storedAnswer = async (asker: Asker): Promise<Answer | undefined> => {
    const { answer } = await capture(asker);
    return answer && answerAgain(answer);
  };

  /**
   * One request, whatever its name: stored answer, or decide and store. The first try is made from what is remembered of
   * the station, without reading: its commit takes place only if the request has no answer yet and every field that
   * the decision looked at is still the same. If not, the next try reads.
   */
  const admit = async (
    name: RequestChannelName,
    asker: Asker,
    judge: (captured: Captured) => Promise<Verdict>,
  ): Promise<Answer> => {
    if (asker.origin === 'rest') requireWorkers(name, deps.isAbandoned);
    const { station, answerKey } = asker;
    let offered: string | undefined;
    let written: Readonly<Record<string, string | undefined>> | undefined;
    const isRefused = deps.isRefused?.(station) ?? false;
    let memory = isRefused ? undefined : remembered.get(station);

    const decide = async (from: Captured): Promise<Attempt<Answer> & { change: Change }> => {
      const verdict: Verdict = abandonedQueue(name, deps.isAbandoned)
        ? { kind: 'answer', reply: fallbackReply(name), reason: WORKERS_GONE }
        : await judge(from);
      const change = store.change();
      if (verdict.kind === 'answer') {
        const answer = { reply: verdict.reply, ...(verdict.reason === undefined ? {} : { reason: verdict.reason }) };
        change.answer(station, answerKey, answer, asker.answerTtlMs);
        written = verdict.fields;
        if (verdict.fields) change.setStation(station, verdict.fields);
        verdict.guard?.(change);
        return { change, result: { ...answer, ...(verdict.begun ? { begun: true } : {}) } };
      }
      const { record, replaces, reply } = verdict;
      const slot = slotField(record.kind);
      change.expectStation(station, slot, from.state.fields[slot]);
      offer(change, record, replaces).answer(station, answerKey, { reply, operationId: record.id }, asker.answerTtlMs);
      offered = record.id;
      written = { [slot]: record.id };
      const afterReply = (): Promise<void> => confirm(record.id, { ...record, version: record.version + 1 });
      return { change, result: { reply, operationId: record.id, afterReply } };
    };

    const attempt = async (): Promise<Attempt<Answer>> => {
      written = undefined;
      const known = memory;
      memory = undefined;
      if (known) {
        const looked = new Set<string>();
        const state = readStationState(known, (field) => looked.add(field));
        const decided = await decide(captured(station, state, undefined));
        if (!asker.isFresh) decided.change.expectUnanswered(station, answerKey);
        for (const field of looked) decided.change.expectStation(station, field, known[field]);
        return decided;
      }
      const read = await capture(asker);
      if (!read.answer || asker.isFresh) {
        const decided = await decide(read);
        // Whoever may invent names must not fill the store with answers to them.
        return isRefused ? { change: undefined, result: decided.result } : decided;
      }
      return { change: undefined, result: answerAgain(read.answer) };
    };

    const answer = await desk.decide(attempt, () => takeBack(asker, name, offered));
    if (written) remember(station, written);
    return answer;
  };

  const offeredBase = <K extends 'firmware_update' | 'log_upload' | 'configure_network'>(
    kind: K,
    asker: Asker,
    requestId: number,
    id: string,
  ) => ({
    ...newRecordBase<K, 'Offered'>(kind, 'Offered', {
      station: asker.station,
      origin: asker.origin,
      requestId,
      now: now(),
      id,
    }),
    ...askedBy(asker),
    answerKey: asker.answerKey,
    deadlineAt: now().steady + deadlines.update.offerMs + (asker.origin === 'everest' ? deps.redeliveryMs : 0),
  });

  return { capture, inSlot, admit, offeredBase, contextOf, takeBack, keepDefaults, storedAnswer, now };
}
