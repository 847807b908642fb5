/**
 * What all requests have in common at the intake: the stored answer comes first; else read, decide, and commit the
 * decision together with its answer. What has to be done once the answer is out comes back as `followUp`.
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
import { type Answer, askedBy, type Captured, type Decision, type IntakeDeps, type Requester } from './requester.js';
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
  const capture = async ({ station, answerKey }: Requester): Promise<Captured> => {
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

  const { insist, confirm, noteAnswerSent, revoke, persistDefaultReplies } = createAfterAnswer({
    desk,
    jobs,
    memory,
    contextOf,
  });

  const answerAgain = ({ reply, operationId, reason, detail }: StoredAnswer): Answer => ({
    reply,
    repeated: true,
    ...(operationId === undefined ? {} : { operationId, followUp: { kind: 'confirm', operationId } }),
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
  });

  /** What the same request was answered before. Rejects when that cannot be read now. */
  const storedAnswer = async (requester: Requester): Promise<Answer | undefined> => {
    const { answer } = await capture(requester);
    return answer && answerAgain(answer);
  };

  /**
   * One request, whatever its name: stored answer, or decide and store. The first try is made from what is remembered of
   * the station, without reading: its commit takes place only if the request has no answer yet and every field that
   * the decision looked at is still the same. If not, the next try reads.
   */
  const admit = async (
    name: RequestChannelName,
    requester: Requester,
    judge: (captured: Captured) => Promise<Decision>,
  ): Promise<Answer> => {
    if (requester.origin === 'rest') requireWorkers(name, deps.isAbandoned);
    const { station, answerKey } = requester;
    let offered: string | undefined;
    let written: Readonly<Record<string, string | undefined>> | undefined;
    let remembered = memory.of(station);

    const decide = async (from: Captured): Promise<Attempt<Answer>> => {
      const verdict: Decision = abandonedQueue(name, deps.isAbandoned)
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
        transaction.answer(station, answerKey, answer, requester.answerTtlMs);
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
        requester.answerTtlMs,
      );
      offered = record.id;
      written = { [slot]: record.id };
      const stored = { ...record, version: record.version + 1 };
      const followUp = { kind: 'confirm', operationId: record.id, offered: stored } as const;
      return { transaction, result: { reply, operationId: record.id, record: stored, followUp } };
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
          if (!requester.isFresh) decided.transaction.expectUnanswered(station, answerKey);
          for (const field of looked) decided.transaction.expectStation(station, field, known[field]);
          return decided;
        }
        // Nothing is committed that would show whether what is remembered is still so.
      }
      const read = await capture(requester);
      if (!read.answer || requester.isFresh) {
        const decided = await decide(read);
        // Whoever may invent names must not fill the store with answers to them.
        return isRefused(station) ? { transaction: undefined, result: decided.result } : decided;
      }
      const again = answerAgain(read.answer);
      const { operationId } = again;
      const record =
        operationId === undefined || requester.origin !== 'rest' ? undefined : await store.load(operationId);
      return { transaction: undefined, result: { ...again, ...(record ? { record } : {}) } };
    };

    const answer = await desk.decide(attempt, () => revoke(requester, name, offered));
    if (written) memory.update(station, written);
    return answer;
  };

  const offeredBase = <K extends 'firmware_update' | 'log_upload' | 'configure_network'>(
    kind: K,
    requester: Requester,
    requestId: number,
    id: string,
  ) => ({
    ...newRecordBase<K, 'Offered'>(kind, 'Offered', {
      station: requester.station,
      origin: requester.origin,
      requestId,
      now: now(),
      id,
    }),
    ...askedBy(requester),
    answerKey: requester.answerKey,
    deadlineAt: now().monotonic + deadlines.update.offerMs + (requester.origin === 'everest' ? deps.redeliveryMs : 0),
  });

  return {
    capture,
    inSlot,
    admit,
    offeredBase,
    contextOf,
    insist,
    confirm,
    noteAnswerSent,
    revoke,
    persistDefaultReplies,
    storedAnswer,
    now,
  };
}
