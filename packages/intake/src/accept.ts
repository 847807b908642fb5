/** One request that is answered, whatever its name: its stored answer comes first; else a decision is made and committed. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { OFFERING_CHANNELS, offer } from '@khumbu/operations/kinds/offer';
import { storedOf, type Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import type { StoredAnswer } from '@khumbu/operations/records/transaction';
import type { ToldFact } from '@khumbu/operations/security-log/append-fact';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import type { Answer, Attempt, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import { abandonedQueue, requireWorkers, WORKERS_GONE } from './needed-workers.js';
import type { Requester } from './requester.js';
import type { Situation } from './situation.js';

export interface AcceptedRequest<S extends Situation> {
  readonly channel: RequestChannelName;
  readonly requester: Requester;
  readonly read: () => Promise<S>;
  readonly decide: (situation: S) => Decision;
}

export type Accept = <S extends Situation>(request: AcceptedRequest<S>) => Promise<Answer>;

/** The answer that was stored; an offer it speaks of may still have to be confirmed. */
export const answerAgain = (stored: StoredAnswer): Answer => ({
  ...stored,
  repeated: true,
  ...(stored.operationId === undefined ? {} : { followUp: { kind: 'confirm', operationId: stored.operationId } }),
});

/** What would be answered, of which nothing is stored. */
function trialOf(decision: Decision): Answer {
  if (decision.kind === 'offer') return { reply: decision.reply, operationId: decision.record.id };
  if (decision.kind === 'open') return { reply: undefined };
  const { reply, reason, detail, allowed } = decision;
  return {
    reply,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(allowed === undefined ? {} : { allowed }),
  };
}

/** What would have acted on the station: its refusal is a fact of the security log. A station that asks without end is counted. */
const ACTS: ReadonlySet<string> = new Set<RequestChannelName>([...OFFERING_CHANNELS, 'set_system_time']);

function refusalFact(
  channel: RequestChannelName,
  { station, origin, caller }: Requester,
  { reason, detail }: Pick<Answer, 'reason' | 'detail'>,
  at: number,
): ToldFact | undefined {
  if (reason === undefined || !ACTS.has(channel)) return undefined;
  const by = { cause: origin, ...(caller === undefined ? {} : { name: caller }) };
  const why = { ok: false, reason, ...(detail === undefined ? {} : { message: detail }) };
  return {
    fact: { at, what: channel, phase: 'refused', by, station, ...why },
    limit: `refused:${channel}:${reason}:${station}`,
  };
}

function writeAnswer(
  transaction: Transaction,
  { station, answerKey, answerTtlMs }: Requester,
  decision: Decision & { readonly kind: 'answer' },
): Answer {
  const { kind: _kind, record, begun, fields, expects, event, ...answer } = decision;
  transaction.answer(station, answerKey, answer, answerTtlMs);
  if (fields) transaction.setStation(station, fields);
  for (const [field, value] of Object.entries(expects?.fields ?? {})) transaction.expectStation(station, field, value);
  if (expects?.record) transaction.expectRecord(expects.record.id, expects.record.version);
  if (event) transaction.emitEvent(event);
  return { ...answer, ...(begun ? { begun } : {}), ...(record ? { record } : {}) };
}

export function createAccept({ store, readDecideCommit, isAbandoned, now }: Omit<Parts, 'accept' | 'read'>): Accept {
  /** What the decision stores, and what its requester gets. */
  const attemptOf = (channel: RequestChannelName, situation: Situation, decision: Decision): Attempt<Answer> => {
    const { requester, state, isConfigured, remembered } = situation;
    const { station, answerKey, answerTtlMs } = requester;
    const transaction = store.transaction();
    remembered?.guard(transaction);
    if (decision.kind === 'open') {
      const result = { reply: undefined, openIn: decision.bootEpoch };
      return remembered ? { result, transaction } : { result };
    }
    const undo = { kind: 'revoke', channel, requester } as const;
    if (decision.kind === 'answer') {
      const result = writeAnswer(transaction, requester, decision);
      transaction.tellSecurityLog(refusalFact(channel, requester, decision, now().wall));
      return isConfigured ? { result, transaction, undo } : { result };
    }
    const { record, replaces, reply } = decision;
    const operationId = record.id;
    const slot = slotField(record.kind);
    transaction.expectStation(station, slot, state.fields[slot]);
    offer(transaction, record, replaces).answer(station, answerKey, { reply, operationId }, answerTtlMs);
    const result: Answer = { reply, operationId, record, followUp: { kind: 'confirm', operationId } };
    const onStored = (stored: readonly OperationRecord[]): Answer => ({ ...result, record: storedOf(stored, record) });
    return { result, transaction, onStored, undo: { ...undo, operationId } };
  };

  return ({ channel, requester, read, decide }) => {
    if (requester.origin === 'rest') requireWorkers(channel, isAbandoned);
    return readDecideCommit({
      read,
      decide(situation): Attempt<Answer> {
        const { stored, storedRecord } = situation;
        if (stored) return { result: { ...answerAgain(stored), ...(storedRecord ? { record: storedRecord } : {}) } };
        if (requester.isTrial) return { result: trialOf(decide(situation)) };
        const isRefused = abandonedQueue(channel, isAbandoned) !== undefined;
        const refusal = { kind: 'answer', reply: fallbackReply(channel), reason: WORKERS_GONE } as const;
        return attemptOf(channel, situation, isRefused ? refusal : decide(situation));
      },
    });
  };
}
