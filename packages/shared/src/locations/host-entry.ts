/** One entry of a list of hosts in the settings: `host`, `*.suffix`, `host:port`, `[IPv6]`. Pure. */
import { CodedError } from '../runtime/errors.js';
import { normalAddress } from './address.js';

export interface HostEntry {
  /** Lower case, an address in its normal spelling, no dot at the end. */
  readonly host: string;
  /** Names whatever ends with a dot and `host`, not `host` itself. */
  readonly isSuffix: boolean;
  /** Absent: every port. */
  readonly port?: number;
}

/** Throws `CONFIG_INVALID` that names the setting. */
export function readHostEntry(text: string, setting: string): HostEntry {
  const match = /^(\*\.)?(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text.trim());
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (!match?.[2] || (port !== undefined && port > 65535))
    throw new CodedError('CONFIG_INVALID', `${setting}: write host, *.suffix, host:port or [IPv6]`);
  const host = normalAddress(match[2].replace(/^\[|\]$/g, '')).replace(/\.$/, '');
  return { host, isSuffix: match[1] !== undefined, ...(port === undefined ? {} : { port }) };
}

/** `host` as `parseLocation` gives it, an address in its normal spelling. */
export const isNamedBy = ({ host: named, isSuffix, port: only }: HostEntry, host: string, port: number): boolean =>
  (only ?? port) === port && (isSuffix ? host.endsWith(`.${named}`) : host === named);

/** RFC 6761 6.3: these names are loopback whatever DNS answers. */
export const isLocalhost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');
