/** What a station calls the interface that it has prepared, before it is told to whoever binds to it. Pure. */
import { isIP } from 'node:net';

/** Names of Linux have 15 characters at most (IFNAMSIZ). */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$/;

/** An IP address, with a zone where it has one, or the name of an interface; `undefined` for anything else, which would be words. */
export function interfaceAddressOf(said: unknown): string | undefined {
  if (typeof said !== 'string') return undefined;
  const address = said.trim();
  const [ip = '', zone, ...more] = address.split('%');
  const isAddress = isIP(ip) !== 0 && more.length === 0 && (zone === undefined || NAME.test(zone));
  return isAddress || NAME.test(address) ? address : undefined;
}
