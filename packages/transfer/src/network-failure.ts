/** What breaks a connection, as a `TransferError`: by the codes of DNS, sockets, TLS and Node's HTTP parser. */
import { describeError } from '@khumbu/shared/runtime/errors';
import type { TransferReason } from './faults/fault.js';
import { ProxyError } from './http/proxy-tunnel.js';
import { type Leg, TransferError } from './transfer-error.js';

const codeOf = (error: unknown): string => (error as { code?: unknown } | undefined)?.code?.toString() ?? '';

/** First match wins; anything else that breaks a connection is a `cut`. */
const NETWORK_REASONS: readonly (readonly [RegExp, TransferReason])[] = [
  [/^(ENOTFOUND|ENODATA|EAI_)/, 'dns'],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|ETIMEDOUT|EADDRNOTAVAIL)$/, 'connect'],
  [/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_|EPROTO)/, 'tls'],
  [/^HPE_/, 'bad_response'],
];

/** A host with several addresses fails with an error that has a code and no words. */
const explain = (error: unknown): string => describeError(error) || codeOf(error) || 'the connection failed';

/** Of uploads all of it is `connection`: stored records have no other word. */
export function networkFailure(leg: Leg, error: unknown): TransferError {
  if (error instanceof TransferError) return error;
  if (error instanceof ProxyError) return new TransferError(leg, error.reason, error.message, { cause: error });
  if (leg.direction === 'put') return new TransferError(leg, 'connection', explain(error), { cause: error });
  const code = codeOf(error);
  if (code === 'LOCATION_ADDRESS_FORBIDDEN')
    return new TransferError(leg, 'location_refused', 'the address behind the location is not allowed', {
      cause: error,
    });
  const reason = NETWORK_REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'cut';
  return new TransferError(leg, reason, `the connection failed (${code || 'no code'})`, { cause: error });
}
