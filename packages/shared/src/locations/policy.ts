/**
 * Which locations may be connected to. A location comes from outside (a CSMS, a fleet tool, a redirect), so it could
 * point our workers at themselves, at the depot's own servers or at a cloud's metadata service. Checked twice: the text
 * before any connection, and the addresses after DNS, inside the connection that uses them, so that a name cannot change
 * in between.
 */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { CodedError } from '../runtime/errors.js';
import { addressKind, normalAddress } from './address.js';
import { isLocalhost, isNamedBy, readHostEntry } from './host-entry.js';
import {
  type HostLocation,
  type Location,
  type LocationProblem,
  type LocationScheme,
  parseLocation,
} from './location.js';
import { createOwnServers } from './own-servers.js';
import { type LocationUse, placeInStore, type StoreAreas } from './store-areas.js';

export interface LocationRules {
  readonly allowedSchemes: readonly LocationScheme[];
  /** Of these the ones for logs; absent: all. */
  readonly logSchemes?: readonly LocationScheme[];
  /**
   * Exact host, `*.suffix` (not the suffix itself), either with `:port`, IPv6 in brackets. Empty: any host. An
   * otherwise forbidden address is allowed when the list names that very address; a listed name lends its right to
   * no forbidden address.
   */
  readonly allowedHosts: readonly string[];
  readonly allowLoopback: boolean;
  /** The depot's own servers, written as in `allowedHosts`: refused whatever else is allowed, also by their addresses. */
  readonly forbiddenHosts?: readonly string[];
  /** The parts of the object store and their users. Absent: no `s3` location has a use. */
  readonly store?: StoreAreas;
}

export type LocationRefusal =
  | LocationProblem
  | 'LOCATION_SCHEME_NOT_ALLOWED'
  | 'LOCATION_HOST_NOT_ALLOWED'
  | 'LOCATION_ADDRESS_FORBIDDEN'
  | 'LOCATION_KEY_NOT_ALLOWED';

export type CheckedLocation =
  | { readonly ok: true; readonly location: Location }
  | {
      readonly ok: false;
      readonly code: LocationRefusal;
      readonly reason: string;
      /** Schemes or hosts that the settings allow, where one that they do not is why. */
      readonly allowed?: readonly string[];
    };

export interface LocationPolicy {
  /**
   * Before any connection, and again for every redirect target. With `use` also whether this station may have it used
   * so: of an `s3` location the place that is really meant comes back. Reasons never hold credentials. Pure.
   */
  check(locationText: string, use?: LocationUse): CheckedLocation;
  /**
   * Right before a connection: as `check`; a host that is an address, for which no `lookup` is asked, is also compared
   * with what the names of our own servers resolve to now.
   */
  checkNow(locationText: string, use?: LocationUse): Promise<CheckedLocation>;
  /**
   * For the `lookup` option of `node:net`, `http`, `https`, `tls` of a connection to this port. Fails with
   * `LOCATION_ADDRESS_FORBIDDEN`, or as DNS does.
   */
  lookupFor(port: number): LookupFunction;
  /**
   * Whether this address and port are a server of the depot itself. For a connection that another one asks for, as the data
   * connection of FTP: its address is judged already, its port is the word of the other server.
   */
  isOwnServer(address: string, port: number): Promise<boolean>;
}

type LookupAll = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const OWN_SERVER = 'it leads to a server of the depot itself';
const refused = (code: LocationRefusal, reason: string, allowed?: readonly string[]): CheckedLocation => ({
  ok: false,
  code,
  reason,
  ...(allowed ? { allowed } : {}),
});

/** Throws `CONFIG_INVALID` for a host entry that cannot be read. `lookupAll` replaces DNS in tests. */
export function createLocationPolicy(rules: LocationRules, lookupAll: LookupAll = systemLookup): LocationPolicy {
  const entries = rules.allowedHosts.map((text) => readHostEntry(text, 'ALLOWED_LOCATION_HOSTS'));
  const own = createOwnServers(
    rules.forbiddenHosts ?? [],
    (host) =>
      new Promise((resolve, reject) => {
        lookupAll(host, { all: true }, (error, found) =>
          error ? reject(error) : resolve(found.map(({ address }) => address)),
        );
      }),
  );

  const forbiddenBecause = (address: string, port: number): string | undefined => {
    const kind = addressKind(address);
    if (kind === 'public' || (kind === 'loopback' && rules.allowLoopback)) return undefined;
    const normal = normalAddress(address);
    const freed = entries.some((entry) => !entry.isSuffix && isNamedBy(entry, normal, port));
    return freed ? undefined : `${kind} addresses are not allowed`;
  };

  const checkHost = ({ host: text, port }: HostLocation): CheckedLocation | undefined => {
    const host = isIP(text) === 0 ? text : normalAddress(text);
    if (own.isNamed(host, port)) return refused('LOCATION_ADDRESS_FORBIDDEN', OWN_SERVER);
    if (entries.length > 0 && !entries.some((entry) => isNamedBy(entry, host, port)))
      return refused('LOCATION_HOST_NOT_ALLOWED', `host ${host}:${port} is not allowed`, rules.allowedHosts);
    const address = isLocalhost(host) ? '127.0.0.1' : host;
    const forbidden = isIP(address) === 0 ? undefined : forbiddenBecause(address, port);
    return forbidden === undefined ? undefined : refused('LOCATION_ADDRESS_FORBIDDEN', forbidden);
  };

  const check: LocationPolicy['check'] = (locationText, use) => {
    const parsed = parseLocation(locationText);
    if (!parsed.ok) {
      const { code, reason } = parsed;
      return code === 'LOCATION_SCHEME_UNKNOWN' ? refused(code, reason, rules.allowedSchemes) : parsed;
    }
    const { location } = parsed;
    if (!rules.allowedSchemes.includes(location.scheme))
      return refused('LOCATION_SCHEME_NOT_ALLOWED', `${location.scheme}: is not allowed`, rules.allowedSchemes);
    if (use?.for === 'logs' && rules.logSchemes?.includes(location.scheme) === false)
      return refused(
        'LOCATION_SCHEME_NOT_ALLOWED',
        `${location.scheme}: is not allowed for logs`,
        rules.allowedSchemes.filter((scheme) => rules.logSchemes?.includes(scheme)),
      );
    if (location.scheme !== 's3') return checkHost(location) ?? parsed;
    return use === undefined ? parsed : placeInStore(location, use, rules.store);
  };

  const checkNow: LocationPolicy['checkNow'] = async (locationText, use) => {
    const checked = check(locationText, use);
    if (!checked.ok || checked.location.scheme === 's3') return checked;
    const { host, port } = checked.location;
    const isOwn = isIP(host) !== 0 && (await own.isBehind(host, port));
    return isOwn ? refused('LOCATION_ADDRESS_FORBIDDEN', OWN_SERVER) : checked;
  };

  const lookupFor: LocationPolicy['lookupFor'] = (port) => (hostname, options, callback) => {
    /** A name may have a link-local address beside a good one (mDNS): the good ones are used. */
    const allowedOf = async (addresses: readonly LookupAddress[]): Promise<LookupAddress[]> => {
      const allowed: LookupAddress[] = [];
      let reason = 'it has no address';
      for (const one of addresses) {
        const isOwn = await own.isBehind(one.address, port);
        const why = isOwn ? OWN_SERVER : forbiddenBecause(one.address, port);
        if (why === undefined) allowed.push(one);
        else reason = why;
      }
      if (allowed.length === 0) throw new CodedError('LOCATION_ADDRESS_FORBIDDEN', `host ${hostname}: ${reason}`);
      return allowed;
    };
    const fail = (error: NodeJS.ErrnoException): void => callback(error, '', 0);
    lookupAll(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return fail(error);
      allowedOf(addresses).then((allowed) => {
        if (options.all) callback(null, allowed);
        else callback(null, allowed[0]?.address ?? '', allowed[0]?.family ?? 0);
      }, fail);
    });
  };

  const isOwnServer: LocationPolicy['isOwnServer'] = async (address, port) =>
    own.isNamed(normalAddress(address), port) || (await own.isBehind(address, port));

  return { check, checkNow, lookupFor, isOwnServer };
}
