/**
 * The depot's own servers: Redis, the object store, the broker, the gateways, health servers. No location may lead to
 * them, by whatever name or address, and no other rule allows it.
 */
import { networkInterfaces } from 'node:os';
import { resolveWithin } from '../runtime/abort.js';
import { addressKind, endsOf } from './address.js';
import { type HostEntry, isLocalhost, isNamedBy, readHostEntry } from './host-entry.js';

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'redis:': 6379,
  'rediss:': 6379,
  'mqtt:': 1883,
  'tcp:': 1883,
  'mqtts:': 8883,
  'ssl:': 8883,
  'tls:': 8883,
  'ws:': 80,
  'wss:': 443,
  'http:': 80,
  'https:': 443,
};

/**
 * Where the server of a URL in the settings listens, as an entry of `forbiddenHosts`; `undefined` for a URL without a
 * host, such as that of a socket file. Pure.
 */
export function ownServer(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { protocol, hostname, port } = new URL(url);
  if (hostname === '') return undefined;
  const number = port === '' ? DEFAULT_PORTS[protocol] : Number(port);
  return number === undefined ? hostname : `${hostname}:${number}`;
}

/** As `ownServer`, of an address to listen on. A port that was left to the system is not known: `undefined`. Pure. */
export function ownListener(host: string | undefined, port: number | undefined): string | undefined {
  if (host === undefined || port === undefined || port === 0) return undefined;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** All addresses of a name. Rejects as `dns.lookup` does. */
export type AddressesOf = (host: string) => Promise<readonly string[]>;

/** A server of the depot that moves is reached by its new address after this time. */
const REMEMBERED_MS = 5000;
/** A stopped container has no name, and the query may go to a distant name server. */
const PATIENCE_MS = 1000;

/** Names of the settings and what they resolve to. */
function createNames(
  addressesOf: AddressesOf,
  monotonicMs: () => number,
): (host: string) => Promise<readonly string[]> {
  const names = new Map<string, { addresses: readonly string[]; askedAt: number; asking: Promise<void> }>();
  return async (host) => {
    const now = monotonicMs();
    const known = names.get(host) ?? { addresses: [], askedAt: Number.NEGATIVE_INFINITY, asking: Promise.resolve() };
    names.set(host, known);
    if (now - known.askedAt >= REMEMBERED_MS) {
      known.askedAt = now;
      const keep = (addresses: readonly string[]): void => {
        known.addresses = addresses.flatMap(endsOf);
      };
      known.asking = resolveWithin(
        addressesOf(host).then(keep, () => undefined),
        PATIENCE_MS,
        undefined,
      );
    }
    await known.asking;
    return known.addresses;
  };
}

/** Addresses at which this machine reaches itself. */
function isThisMachine(address: string): boolean {
  const kind = addressKind(address);
  if (kind === 'loopback' || kind === 'unspecified') return true;
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((one) => endsOf(one.address)[0] === endsOf(address)[0]),
  );
}

/** A server on one address of this machine may listen on all of them: its addresses count as one. */
const isOne = (a: string, b: string): boolean => a === b || (isThisMachine(a) && isThisMachine(b));

/** `entries` as in `ALLOWED_LOCATION_HOSTS`. Throws `CONFIG_INVALID`. */
export function createOwnServers(
  entries: readonly string[],
  addressesOf: AddressesOf,
  monotonicMs: () => number = () => performance.now(),
) {
  const servers = entries.map((text) => readHostEntry(text, 'FORBIDDEN_LOCATION_HOSTS'));
  const resolve = createNames(addressesOf, monotonicMs);
  const at = (port: number): HostEntry[] => servers.filter((server) => (server.port ?? port) === port);

  const ends = async ({ host, isSuffix }: HostEntry): Promise<readonly string[]> => {
    if (isSuffix) return [];
    if (isLocalhost(host)) return ['127.0.0.1'];
    if (endsOf(host).length > 0) return endsOf(host);
    return resolve(host);
  };
  const meets = (address: string, server: readonly string[]): boolean =>
    endsOf(address).some((one) => server.some((other) => isOne(one, other)));

  return {
    /** By the text of the location alone: a name or an address as the settings have it. */
    isNamed(host: string, port: number): boolean {
      const own = at(port);
      if (own.some((server) => isNamedBy(server, host, port))) return true;
      const addresses = isLocalhost(host) ? ['127.0.0.1'] : endsOf(host);
      const known = own.flatMap((server) => (isLocalhost(server.host) ? ['127.0.0.1'] : endsOf(server.host)));
      return addresses.some((one) => known.some((other) => isOne(one, other)));
    },
    /**
     * Whether a connection to this address ends at one of them, as the names of the settings resolved in the last seconds.
     * While DNS does not answer for a name, what it said last counts; a name that never resolved here leads nowhere.
     */
    async isBehind(address: string, port: number): Promise<boolean> {
      const all = await Promise.all(at(port).map(ends));
      return all.some((server) => meets(address, server));
    },
  };
}
