/**
 * What all requests have in common at the intake: the stored answer comes first; else read, decide, and commit the
 * decision together with its answer. What has to be done once the answer is out comes back as `afterReply`.
 */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { type OfferContext, offer } from '@khumbu/operations/kinds/offer';
import type { StoredAnswer } from '@khumbu/operations/kinds/store';
import { newRecordBase } from '@khumbu/operations/records/record';
import {
  dialectOf,
  readStationState,
  type SlotKind,
  type StationState,
  slotField,
} from '@khumbu/operations/stations/station-state';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { createAfterAnswer } from './after-answer.js';
import type { Attempt } from './decision-store.js';
import { abandonedQueue, requireWorkers, WORKERS_GONE } from './needed-workers.js';
import { type Answer, type Asker, askedBy, type Captured, type IntakeDeps, type Verdict } from './request.js';
import { createStationMemory } from './station-memory.js';

export type Admission = ReturnType<typeof createAdmission>;

export function createAdmission(deps: IntakeDeps) {
  const { desk, jobs, deadlines, now } = deps;
  const { store } = desk;
  const isRefused = (station: string): boolean => deps.isRefused?.(station) ?? false;
  const memory = createStationMemory(isRefused);

  const captured = (station: string, state: StationState, answer: StoredAnswer | undefined): Captured => {
    // Only the leader notices that two stations share a name; it is stored for the others.
    const profile = state.conflictSince === undefined ? deps.profileOf(station) : undefined;
    return { state, profile, answer };
  };
  const capture = async ({ station, answerKey }: Asker): Promise<Captured> => {
    const { fields, answer } = await store.stationAndAnswer(station, answerKey);
    memory.keep(station, fields);
    return captured(station, readStationState(fields), answer);
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

  const { insist, confirm, noteSent, takeBack, keepDefaults } = createAfterAnswer({ desk, jobs, memory, contextOf });

  const answerAgain = ({ reply, operationId, reason, detail }: StoredAnswer): Answer => ({
    reply,
    repeated: true,
    ...(operationId === undefined ? {} : { operationId, afterReply: () => confirm(operationId) }),
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
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
    let remembered = memory.of(station);

    const decide = async (from: Captured): Promise<Attempt<Answer>> => {
      const verdict: Verdict = abandonedQueue(name, deps.isAbandoned)
        ? { kind: 'answer', reply: fallbackReply(name), reason: WORKERS_GONE }
        : await judge(from);
      if (verdict.kind === 'open')
        return { transaction: undefined, result: { reply: undefined, openIn: verdict.bootEpoch } };
      const transaction = store.transaction();
      if (verdict.kind === 'answer') {
        const { reply, reason, detail, operationId, record } = verdict;
        const answer = {
          reply,
          ...(operationId === undefined ? {} : { operationId }),
          ...(reason === undefined ? {} : { reason }),
          ...(detail === undefined ? {} : { detail }),
        };
        transaction.answer(station, answerKey, answer, asker.answerTtlMs);
        written = verdict.fields;
        if (verdict.fields) transaction.setStation(station, verdict.fields);
        verdict.guard?.(transaction);
        const more = { ...(verdict.begun ? { begun: true } : {}), ...(record ? { record } : {}) };
        return { transaction, result: { ...answer, ...more } };
      }
      const { record, replaces, reply } = verdict;
      const slot = slotField(record.kind);
      transaction.expectStation(station, slot, from.state.fields[slot]);
      offer(transaction, record, replaces).answer(
        station,
        answerKey,
        { reply, operationId: record.id },
        asker.answerTtlMs,
      );
      offered = record.id;
      written = { [slot]: record.id };
      const stored = { ...record, version: record.version + 1 };
      const afterReply = (): Promise<void> => confirm(record.id, stored);
      return { transaction, result: { reply, operationId: record.id, record: stored, afterReply } };
    };

    const attempt = async (): Promise<Attempt<Answer>> => {
      written = undefined;
      const known = remembered;
      remembered = undefined;
      if (known) {
        const looked = new Set<string>();
        const state = readStationState(known, (field) => looked.add(field));
        const decided = await decide(captured(station, state, undefined));
        if (decided.transaction) {
          if (!asker.isFresh) decided.transaction.expectUnanswered(station, answerKey);
          for (const field of looked) decided.transaction.expectStation(station, field, known[field]);
          return decided;
        }
        // Nothing is committed that would show whether what is remembered is still so.
      }
      const read = await capture(asker);
      if (!read.answer || asker.isFresh) {
        const decided = await decide(read);
        // Whoever may invent names must not fill the store with answers to them.
        return isRefused(station) ? { transaction: undefined, result: decided.result } : decided;
      }
      const again = answerAgain(read.answer);
      const { operationId } = again;
      const record = operationId === undefined || asker.origin !== 'rest' ? undefined : await store.load(operationId);
      return { transaction: undefined, result: { ...again, ...(record ? { record } : {}) } };
    };

    const answer = await desk.decide(attempt, () => takeBack(asker, name, offered));
    if (written) memory.update(station, written);
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
    deadlineAt: now().monotonic + deadlines.update.offerMs + (asker.origin === 'everest' ? deps.redeliveryMs : 0),
  });

  return {
    capture,
    inSlot,
    admit,
    offeredBase,
    contextOf,
    insist,
    noteSent,
    takeBack,
    keepDefaults,
    storedAnswer,
    now,
  };
}
