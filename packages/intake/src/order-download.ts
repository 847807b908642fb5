/** An operator pauses the download of an update, lets it go on, or lets it come at once whatever window and budgets say. */
import { downloadNow, pauseByOperator, resumeByOperator } from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Applied, KindContext } from '@khumbu/operations/kinds/kind-definition';
import { storedOf } from '@khumbu/operations/kinds/store';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';

/** `done`: so it is, now or before. `too_late`: there is nothing to fetch any more. `busy`: it is just being answered. */
export interface DownloadOrderResult {
  readonly kind: 'unknown' | 'done' | 'too_late' | 'busy';
  /** As it was stored, if it has changed. */
  readonly record?: FirmwareUpdateRecord;
}

type Apply = (
  record: FirmwareUpdateRecord,
  by: string | undefined,
  context: KindContext,
) => Applied<FirmwareUpdateRecord> | undefined;

const silently = (record: FirmwareUpdateRecord | undefined) => record && { record, statuses: [] };

const ORDERS = {
  pause: pauseByOperator,
  resume: (record, _by, { now }) => silently(resumeByOperator(record, now)),
  download_now: (record, by, { now }) => silently(downloadNow(record, by, now)),
} as const satisfies Readonly<Record<string, Apply>>;
export type DownloadOrder = keyof typeof ORDERS;

export function createOrderDownload({ read, readDecideCommit, store, jobs }: Parts) {
  const decide = (
    order: DownloadOrder,
    update: FirmwareUpdateRecord,
    by: string | undefined,
    context: KindContext,
  ): Attempt<DownloadOrderResult> => {
    if (update.state === 'Offered') return { result: { kind: 'busy' } };
    const next = ORDERS[order](update, by, context);
    if (!next) return { result: { kind: 'too_late' } };
    if (next.record === update) return { result: { kind: 'done' } };
    const transaction = store.transaction().put(next.record).enqueueStatus(update.station, next.statuses);
    // The fetch looks who is left; a step of this update that runs reads it again.
    if (order === 'pause') transaction.notifyCancel(update.id);
    const { record } = next;
    return {
      transaction,
      result: { kind: 'done', record },
      onStored: (stored) => ({ kind: 'done', record: storedOf(stored, record) }),
    };
  };

  /** `by`: who asks. Safe to repeat. Rejects with `NOT_STORED` when it is not known whether it was stored. */
  return async (
    station: string,
    operationId: string,
    order: DownloadOrder,
    by: string | undefined,
  ): Promise<DownloadOrderResult> => {
    const result = await readDecideCommit<
      { readonly context: KindContext; readonly update: FirmwareUpdateRecord | undefined },
      DownloadOrderResult
    >({
      read: async () => {
        const { state } = await read.station(station);
        return { context: read.contextOf(station, state), update: await read.load(operationId, 'firmware_update') };
      },
      decide: ({ update, context }) =>
        update?.station === station ? decide(order, update, by, context) : { result: { kind: 'unknown' } },
    });
    if (result.record) await jobs.ensure(result.record);
    return result;
  };
}
