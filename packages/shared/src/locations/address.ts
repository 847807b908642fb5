/**
 * What an IP address is for, as far as it decides whether an address from outside may be connected to. Ranges are read
 * and compared by ipaddr.js.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * `public` includes private ranges (10/8, 172.16/12, 192.168/16, fc00::/7) and the shared one of RFC 6598 (100.64/10):
 * depots live in them.
 */
export type AddressKind = 'public' | 'loopback' | 'link_local' | 'metadata' | 'unspecified' | 'multicast' | 'reserved';

type Rule = readonly [range: string, kind: AddressKind];

// First match wins. RFC 6890, RFC 5771, RFC 3927; the metadata services of the large clouds by their own manuals.
const IPV4_RULES: readonly Rule[] = [
  ['169.254.169.254/32', 'metadata'],
  ['100.100.100.200/32', 'metadata'],
  // Azure: the host of a virtual machine, reachable from any network.
  ['168.63.129.16/32', 'metadata'],
  // Oracle Cloud, inside the block of IETF protocol assignments.
  ['192.0.0.192/32', 'metadata'],
  ['0.0.0.0/8', 'unspecified'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link_local'],
  ['192.0.0.0/24', 'reserved'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
];

// RFC 4291, RFC 6666.
const IPV6_RULES: readonly Rule[] = [
  ['fd00:ec2::254/128', 'metadata'],
  ['fd20:ce::254/128', 'metadata'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['fe80::/10', 'link_local'],
  ['ff00::/8', 'multicast'],
  ['100::/64', 'reserved'],
];

type Bytes = readonly number[];
type Carrier = readonly [range: string, carried: (bytes: Bytes) => readonly Bytes[]];

const at =
  (...places: readonly number[]) =>
  (bytes: Bytes): readonly Bytes[] => [places.map((place) => bytes[place] ?? 0)];

/** RFC 6052 2.2: where the IPv4 address is depends on the length of the prefix, which the address does not tell. */
const NAT64_PLACES: readonly (readonly number[])[] = [
  [6, 7, 9, 10],
  [7, 9, 10, 11],
  [9, 10, 11, 12],
  [12, 13, 14, 15],
];

/** Reads that begin with zero are taken for the padding of another length, unless all of them do. */
function ofLocalNat64(bytes: Bytes): readonly Bytes[] {
  const read = NAT64_PLACES.map((places) => places.map((place) => bytes[place] ?? 0));
  const likely = read.filter(([first]) => first !== 0);
  return likely.length > 0 ? likely : read;
}

/** RFC 4380 4: the server, and the client with every bit turned. */
const ofTeredo = (bytes: Bytes): readonly Bytes[] => [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)];

/** Ranges whose addresses carry IPv4 addresses: a gateway would connect to those. */
const IPV4_CARRIERS: readonly Carrier[] = [
  ['::ffff:0:0/96', at(12, 13, 14, 15)], // IPv4-mapped, RFC 4291 2.5.5.2
  ['::ffff:0:0:0/96', at(12, 13, 14, 15)], // IPv4-translated, RFC 2765 2.1
  ['::/96', at(12, 13, 14, 15)], // IPv4-compatible, RFC 4291 2.5.5.1
  ['64:ff9b::/96', at(12, 13, 14, 15)], // NAT64, RFC 6052
  ['64:ff9b:1::/48', ofLocalNat64], // NAT64 of a site, RFC 8215
  ['2002::/16', at(2, 3, 4, 5)], // 6to4, RFC 3056
  ['2001::/32', ofTeredo],
];

type Address = ReturnType<typeof ipaddr.parse>;

/** The first row whose range holds the address. */
const rowOf = <T>(rows: readonly (readonly [range: string, T])[]) => {
  const parsed = rows.map(([range, value]) => [ipaddr.parseCIDR(range), value] as const);
  return (address: Address): T | undefined => parsed.find(([range]) => address.match(range))?.[1];
};
const ipv4Kind = rowOf(IPV4_RULES);
const ipv6Kind = rowOf(IPV6_RULES);
const carriedIn = rowOf(IPV4_CARRIERS);
const isMappedRange = rowOf([['::ffff:0:0/96', true]]);

/** `undefined`: no address in the strict spelling of `node:net`, with or without zone. */
function parse(address: string): Address | undefined {
  const bare = address.split('%', 1)[0] ?? '';
  return isIP(bare) === 0 ? undefined : ipaddr.parse(bare);
}

const carriedBy = (address: Address): readonly Address[] => {
  if (address.kind() === 'ipv4') return [];
  const carried = carriedIn(address)?.(address.toByteArray()) ?? [];
  return carried.map((bytes) => ipaddr.fromByteArray([...bytes]));
};

/** `address` as a DNS lookup gives it: IPv4, or IPv6 with or without zone. Anything else is `reserved`. Pure. */
export function addressKind(address: string): AddressKind {
  const parsed = parse(address);
  if (parsed === undefined) return 'reserved';
  if (parsed.kind() === 'ipv4') return ipv4Kind(parsed) ?? 'public';
  const carried = carriedBy(parsed).map(ipv4Kind);
  return ipv6Kind(parsed) ?? carried.find((kind) => kind !== undefined) ?? 'public';
}

/** One spelling per address, so that a list can be compared with answers of DNS. Zones are dropped. Pure. */
export function normalAddress(address: string): string {
  const parsed = parse(address);
  if (parsed === undefined) return (address.split('%', 1)[0] ?? '').toLowerCase();
  const [mapped] = isMapped(parsed) ? carriedBy(parsed) : [];
  return (mapped ?? parsed).toString();
}

const isMapped = (address: Address): boolean => address.kind() === 'ipv6' && isMappedRange(address) === true;

/** Every address that a connection to this one may end at: itself and those it carries, in their normal spelling. Pure. */
export function endsOf(address: string): readonly string[] {
  const parsed = parse(address);
  if (parsed === undefined) return [];
  return [normalAddress(address), ...carriedBy(parsed).map((one) => one.toString())];
}
