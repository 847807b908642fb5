/** One try to deliver a message to a webhook: judged by the location policy, signed, sent by POST, no redirect followed. */
import { Readable } from 'node:stream';
import { signedHeaders } from '@khumbu/operations/webhooks/signature';
import type { Delivery, Webhook } from '@khumbu/operations/webhooks/webhook';
import type { Failure } from '@khumbu/operations/webhooks/webhook-worker';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { checkedLocation } from '@khumbu/transfer/checked-location';
import type { TransferContext } from '@khumbu/transfer/port';
import { bringTo } from '@khumbu/transfer/transfer';
import { TransferError } from '@khumbu/transfer/transfer-error';

export interface SendDeps {
  /** Made anew for each try: files of authorities change. */
  readonly context: () => Omit<TransferContext, 'stallMs' | 'originHeaders'>;
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const LEG = { direction: 'put', scheme: 'https' } as const;

function failureOf(error: TransferError): Failure {
  const { reason, message, retryAfterS } = error;
  return {
    reason,
    message,
    ...(retryAfterS === undefined ? {} : { retryAfterMs: retryAfterS * 1000 }),
    ...(reason === 'http_410' ? { isGone: true } : {}),
  };
}

/** `undefined`: the receiver has taken it (2xx). Rejects with the reason of the signal alone. */
export function createSend({ context, timeoutMs, now }: SendDeps) {
  return async (webhook: Webhook, delivery: Delivery, signal: AbortSignal): Promise<Failure | undefined> => {
    const bytes = Buffer.from(delivery.body);
    const body = { size: bytes.length, contentType: 'application/json', open: () => Readable.from([bytes]) };
    // However slowly it answers: a place is held until then.
    const deadline = deadlineAfter(timeoutMs, signal);
    try {
      const shared = { ...context(), stallMs: timeoutMs, originHeaders: signedHeaders(webhook.keys, delivery, now()) };
      const location = await checkedLocation(shared.policy, webhook.url, LEG);
      await bringTo(location, body, { context: shared, method: 'post', signal: deadline.signal });
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TransferError) return failureOf(error);
      if (deadline.signal.aborted) return { reason: 'timeout', message: `no answer within ${timeoutMs} ms` };
      throw error;
    } finally {
      deadline.clear();
    }
  };
}
