/**
 * Which locations may be connected to. A location comes from outside (a CSMS, a fleet tool, a redirect), so it could
 * point our workers at themselves or at a cloud's metadata service. Checked twice: the text before any connection,
 * and the addresses after DNS, inside the connection that uses them, so that a name cannot change in between.
 */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { CodedError } from '../runtime/errors.js';
import { addressKind, normalAddress } from './address.js';
import { type Location, type LocationProblem, type LocationScheme, parseLocation } from './location.js';

export interface LocationRules {
  readonly allowedSchemes: readonly LocationScheme[];
  /**
   * Exact host, `*.suffix` (not the suffix itself), either with `:port`, IPv6 in brackets. Empty: any host. An
   * otherwise forbidden address is allowed when the list names that very address; a listed name lends its right to
   * no forbidden address.
   */
  readonly allowedHosts: readonly string[];
  readonly allowLoopback: boolean;
}

export type LocationRefusal =
  | LocationProblem
  | 'LOCATION_SCHEME_NOT_ALLOWED'
  | 'LOCATION_HOST_NOT_ALLOWED'
  | 'LOCATION_ADDRESS_FORBIDDEN';

export type CheckedLocation =
  | { readonly ok: true; readonly location: Location }
  | { readonly ok: false; readonly code: LocationRefusal; readonly reason: string };

export interface LocationPolicy {
  /** Before any connection, and again for every redirect target. Reasons never hold credentials. Pure. */
  check(locationText: string): CheckedLocation;
  /** For the `lookup` option of `node:net`, `http`, `https`, `tls`. Fails with `LOCATION_ADDRESS_FORBIDDEN`. */
  readonly lookup: LookupFunction;
}

type LookupAll = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

interface HostEntry {
  readonly host: string;
  readonly isSuffix: boolean;
  readonly port?: number;
}

function readEntry(text: string): HostEntry {
  const match = /^(\*\.)?(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text.trim());
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (!match?.[2] || (port !== undefined && port > 65535))
    throw new CodedError('CONFIG_INVALID', 'ALLOWED_LOCATION_HOSTS: write host, *.suffix, host:port or [IPv6]');
  const host = normalAddress(match[2].replace(/^\[|\]$/g, '')).replace(/\.$/, '');
  return { host, isSuffix: match[1] !== undefined, ...(port === undefined ? {} : { port }) };
}

const isNamedBy = (entry: HostEntry, host: string): boolean =>
  entry.isSuffix ? host.endsWith(`.${entry.host}`) : host === entry.host;

/** Throws `CONFIG_INVALID` for a host entry that cannot be read. `lookupAll` replaces DNS in tests. */
export function createLocationPolicy(rules: LocationRules, lookupAll: LookupAll = systemLookup): LocationPolicy {
  const entries = rules.allowedHosts.map(readEntry);
  const isListed = (host: string, port: number): boolean =>
    entries.some((entry) => isNamedBy(entry, host) && (entry.port ?? port) === port);

  /** `port` is unknown after DNS: then only an entry without port can free a forbidden address. */
  const forbiddenBecause = (address: string, port?: number): string | undefined => {
    const kind = addressKind(address);
    if (kind === 'public' || (kind === 'loopback' && rules.allowLoopback)) return undefined;
    const normal = normalAddress(address);
    const freed = entries.some((e) => !e.isSuffix && e.host === normal && (e.port === undefined || e.port === port));
    return freed ? undefined : `${kind} addresses are not allowed`;
  };

  const check = (locationText: string): CheckedLocation => {
    const parsed = parseLocation(locationText);
    if (!parsed.ok) return parsed;
    const { location } = parsed;
    if (!rules.allowedSchemes.includes(location.scheme))
      return { ok: false, code: 'LOCATION_SCHEME_NOT_ALLOWED', reason: `${location.scheme}: is not allowed` };
    if (location.scheme === 's3') return parsed;
    const host = isIP(location.host) === 0 ? location.host : normalAddress(location.host);
    if (entries.length > 0 && !isListed(host, location.port))
      return { ok: false, code: 'LOCATION_HOST_NOT_ALLOWED', reason: `host ${host}:${location.port} is not allowed` };
    // RFC 6761 6.3: these names are loopback whatever DNS says.
    const address = host === 'localhost' || host.endsWith('.localhost') ? '127.0.0.1' : host;
    const forbidden = isIP(address) === 0 ? undefined : forbiddenBecause(address, location.port);
    if (forbidden !== undefined) return { ok: false, code: 'LOCATION_ADDRESS_FORBIDDEN', reason: forbidden };
    return parsed;
  };

  const lookup: LookupFunction = (hostname, options, callback) => {
    lookupAll(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      // A name may have a link-local address beside a good one (mDNS): the good ones are used.
      const allowed = addresses.filter(({ address }) => forbiddenBecause(address) === undefined);
      const [first] = allowed;
      if (!first) {
        const reason = addresses[0] ? forbiddenBecause(addresses[0].address) : 'it has no address';
        const refusal = new CodedError('LOCATION_ADDRESS_FORBIDDEN', `host ${hostname}: ${String(reason)}`);
        return callback(refusal as NodeJS.ErrnoException, '', 0);
      }
      if (options.all) return callback(null, allowed);
      callback(null, first.address, first.family);
    });
  };

  return { check, lookup };
}
