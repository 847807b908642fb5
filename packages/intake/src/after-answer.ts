/**
 * What becomes of a decision once its answer is out: an offer is confirmed and its work begins, or, where the default was
 * answered after all, everything that was stored is taken back.
 */
import { isEnded, type OperationRecord } from '@khumbu/operations/kinds/kinds';
import {
  confirmOffer,
  isOffer,
  type OfferContext,
  type OfferedRecord,
  supersede,
  withdrawOffer,
} from '@khumbu/operations/kinds/offer';
import type { Transaction } from '@khumbu/operations/kinds/store';
import {
  NO_RESET_ALLOWED,
  readStationState,
  STATION_FIELDS,
  type StationState,
} from '@khumbu/operations/stations/station-state';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Attempt } from './decision-store.js';
import type { Answer, IntakeDeps, Requester } from './requester.js';
import type { StationMemory } from './station-memory.js';

export interface AfterAnswerDeps extends Pick<IntakeDeps, 'desk' | 'jobs'> {
  readonly memory: Pick<StationMemory, 'of'>;
  readonly contextOf: (station: string, state: StationState) => OfferContext;
}

export function createAfterAnswer({ desk, jobs, memory, contextOf }: AfterAnswerDeps) {
  const { store } = desk;

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
   * it was just committed, together with what is remembered of its station; should either have changed since, the commit
   * fails and the next try reads.
   */
  const confirmation = async (
    operationId: string,
    fresh?: OfferedRecord,
  ): Promise<Attempt<OperationRecord | undefined>> => {
    const record = fresh ?? (await store.load(operationId));
    if (!record || isEnded(record)) return { transaction: undefined, result: undefined };
    if (!isOffer(record)) return { transaction: undefined, result: record };
    const known = fresh && memory.of(record.station);
    const fields = known ?? (await store.station(record.station));
    const looked = new Set<string>();
    const context = contextOf(
      record.station,
      readStationState(fields, (field) => looked.add(field)),
    );
    const resting = await restingFor(record);
    const replaces = resting.pop();
    const transaction = store.transaction();
    if (known) for (const field of looked) transaction.expectStation(record.station, field, known[field]);
    for (const older of resting) supersede(transaction, older, record.origin, context);
    const confirmed = confirmOffer(transaction, record, replaces, context);
    return { transaction, result: confirmed.record };
  };

  /** Commit outside the desk's own guard, for what has to be set right whatever came before. */
  const insist = async (transaction: Transaction): Promise<void> => {
    if (!(await store.commit(transaction))) throw new CodedError('CONFLICT', 'the record has moved on');
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
        const { transaction, result } = await confirmation(operationId);
        if (transaction) await insist(transaction);
        if (result) await jobs.ensure(result);
      },
    );
    if (accepted) await jobs.ensure(accepted);
  };

  /** The offer's answer was sent, and it is not known whether anybody heard it. */
  const noteAnswerSent = async (operationId: string): Promise<void> => {
    const record = await store.load(operationId);
    if (record && isOffer(record)) await insist(store.transaction().put({ ...record, answerSent: true }));
  };

  /** No record was made, or none that an offer stands for: the answer alone is set right. */
  const revokeAnswer = async (requester: Requester, name: RequestChannelName): Promise<void> => {
    const fallback = store.transaction();
    // REST was told that nothing is known, and may ask again.
    if (requester.origin === 'rest') fallback.forgetAnswer(requester.station, requester.answerKey);
    else fallback.answer(requester.station, requester.answerKey, { reply: fallbackReply(name) });
    if (name === 'is_reset_allowed') {
      const { station } = requester;
      const { fields, resetReservedBy } = readStationState(await store.station(station));
      // REST asks without reserving, and a later question may have reserved anew.
      if (resetReservedBy === requester.answerKey) {
        const { resetReservedBy: by } = STATION_FIELDS;
        fallback.expectStation(station, by, fields[by]).setStation(station, NO_RESET_ALLOWED);
      }
    }
    await insist(fallback);
  };

  /** The default was answered after all: take back what was stored, wherever it stands. */
  const revoke = async (
    requester: Requester,
    name: RequestChannelName,
    operationId: string | undefined,
  ): Promise<void> => {
    const record = operationId === undefined ? undefined : await store.load(operationId);
    if (!record) return revokeAnswer(requester, name);
    // Withdrawn, or confirmed by a leader that got the request again and answered it: that answer stands.
    if (!isOffer(record)) return;
    const state = readStationState(await store.station(requester.station));
    const replaces = await replacedBy(record);
    const inPlace = record.heldFor === undefined ? undefined : await store.load(record.heldFor);
    const successor = inPlace && isOffer(inPlace) ? inPlace : undefined;
    const { transaction, resumed } = withdrawOffer(
      store.transaction(),
      record,
      replaces,
      state.slot(record.kind),
      contextOf(requester.station, state),
      successor,
    );
    await insist(transaction);
    if (resumed) await jobs.ensure(resumed);
  };

  /** Defaults that could not be stored when they were told; what is stored under their names already stays. */
  const persistDefaultReplies = async (
    told: readonly (Pick<Requester, 'station' | 'answerKey'> & Pick<Answer, 'reply'>)[],
  ): Promise<void> => {
    const transaction = store.transaction();
    for (const { station, answerKey, reply } of told) transaction.answerIfNone(station, answerKey, { reply });
    await insist(transaction);
  };

  return { insist, confirm, noteAnswerSent, revoke, persistDefaultReplies };
}
