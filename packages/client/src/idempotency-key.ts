/**
 * A new key for `Idempotency-Key`. Not `crypto.randomUUID`: browsers have it over TLS and on their own machine only, and a page
 * of a depot may come over plain HTTP. https://www.w3.org/TR/webcrypto/#Crypto-method-randomUUID
 */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
