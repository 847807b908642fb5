/** The default was answered although a decision was stored: the decision is revoked, wherever it stands. */
import { isOffer, withdrawOffer } from '@khumbu/operations/kinds/offer';
import { commitOrThrow, storedOf } from '@khumbu/operations/kinds/store';
import { NO_RESET_ALLOWED, readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import type { Answer } from './decision.js';
import type { Parts } from './intake-deps.js';
import { readReplaced } from './offers.js';
import type { Requester } from './requester.js';

export function createRevoke({ store, jobs, read }: Parts) {
  /** No offer was made: the answer alone is set right. */
  const revokeAnswer = async (channel: RequestChannelName, requester: Requester): Promise<void> => {
    const { station, answerKey, origin } = requester;
    const transaction = store.transaction();
    // REST was answered with 503, and may send the request again.
    if (origin === 'rest') transaction.forgetAnswer(station, answerKey);
    else transaction.answer(station, answerKey, { reply: fallbackReply(channel) });
    if (channel === 'is_reset_allowed') {
      const { resetReservedBy } = await readStation(store, station);
      // REST asks without reserving, and a later question may have reserved anew.
      if (resetReservedBy === answerKey)
        transaction
          .expectStation(station, STATION_FIELDS.resetReservedBy, answerKey)
          .setStation(station, NO_RESET_ALLOWED);
    }
    await commitOrThrow(store, transaction);
  };

  /** Defaults that could not be stored when they were sent; what is stored under their keys already stays. */
  const persistDefaultReplies = async (
    sent: readonly (Pick<Requester, 'station' | 'answerKey'> & Pick<Answer, 'reply'>)[],
  ): Promise<void> => {
    const transaction = store.transaction();
    for (const { station, answerKey, reply } of sent) transaction.answerIfNone(station, answerKey, { reply });
    await commitOrThrow(store, transaction);
  };

  const revoke = async (
    requester: Requester,
    channel: RequestChannelName,
    operationId: string | undefined,
  ): Promise<void> => {
    const { station, answerKey, origin } = requester;
    if (operationId === undefined) return revokeAnswer(channel, requester);
    const record = await store.load(operationId);
    if (!record) {
      // The offer was not stored, and so was not its answer: one that is stored comes from another gateway, and stands.
      if (origin === 'everest') await persistDefaultReplies([{ station, answerKey, reply: fallbackReply(channel) }]);
      return;
    }
    // Withdrawn, or confirmed by a leader that got the request again and answered it: that answer stands.
    if (!isOffer(record)) return;
    const { state } = await read.station(station);
    const replaces = await readReplaced(store, record);
    const inPlace = record.heldFor === undefined ? undefined : await store.load(record.heldFor);
    const successor = inPlace && isOffer(inPlace) ? inPlace : undefined;
    const slot = state.slot(record.kind);
    const context = read.contextOf(station, state);
    const { transaction, resumed } = withdrawOffer(store.transaction(), record, replaces, slot, context, successor);
    const stored = await commitOrThrow(store, transaction);
    if (resumed) await jobs.ensure(storedOf(stored, resumed));
  };

  return { revoke, persistDefaultReplies };
}
