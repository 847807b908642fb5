/** Signatures of webhooks as Standard Webhooks has them (`v1`: HMAC-SHA256 over id, time stamp and body). Pure but for random keys. */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
/** The specification asks for 24 to 64 bytes. */
const KEY_BYTES = 32;

export interface WebhookKey {
  readonly id: string;
  /** `whsec_` and the key in base64. */
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** From when on nothing is signed by it; absent: the key in use. */
  readonly expiresAt?: number;
}

export const newKey = (createdAt: number): WebhookKey => ({
  id: `key_${randomBytes(6).toString('hex')}`,
  secret: `${PREFIX}${randomBytes(KEY_BYTES).toString('base64')}`,
  createdAt,
});

export const validKeys = (keys: readonly WebhookKey[], now: number): readonly WebhookKey[] =>
  keys.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);

const signatureOf = ({ secret }: WebhookKey, signed: string): string =>
  `v1,${createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64'))
    .update(signed)
    .digest('base64')}`;

/** The headers of one message, signed by every key that is valid at `now` (milliseconds since 1970). */
export function signedHeaders(
  keys: readonly WebhookKey[],
  message: { readonly id: string; readonly body: string },
  now: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(now / 1000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': validKeys(keys, now)
      .map((key) => signatureOf(key, signed))
      .join(' '),
  };
}
