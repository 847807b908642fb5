/** What an IP address is for, as far as it decides whether an address from outside may be connected to. */
import { isIPv4, isIPv6 } from 'node:net';

/** `public` includes private ranges (10/8, 172.16/12, 192.168/16, fc00::/7): depots live in them. */
export type AddressKind = 'public' | 'loopback' | 'link_local' | 'metadata' | 'unspecified' | 'multicast' | 'reserved';

type Rule = readonly [base: readonly number[], prefixBits: number, kind: AddressKind];

// First match wins. RFC 6890, RFC 5771, RFC 3927; the metadata services of the large clouds by their own manuals.
const IPV4_RULES: readonly Rule[] = [
  [[169, 254, 169, 254], 32, 'metadata'],
  [[100, 100, 100, 200], 32, 'metadata'],
  [[0, 0, 0, 0], 8, 'unspecified'],
  [[127, 0, 0, 0], 8, 'loopback'],
  [[169, 254, 0, 0], 16, 'link_local'],
  [[224, 0, 0, 0], 4, 'multicast'],
  [[240, 0, 0, 0], 4, 'reserved'],
];

const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** Sixteen bytes: `head`, zeros, `last`. */
const padded = (head: number[], last: number[] = []): number[] => [
  ...head,
  ...zeros(16 - head.length - last.length),
  ...last,
];

// RFC 4291.
const IPV6_RULES: readonly Rule[] = [
  [padded([0xfd, 0x00, 0x0e, 0xc2], [0x02, 0x54]), 128, 'metadata'],
  [padded([]), 128, 'unspecified'],
  [padded([], [1]), 128, 'loopback'],
  [padded([0xfe, 0x80]), 10, 'link_local'],
  [padded([0xff]), 8, 'multicast'],
];

/** Prefixes whose addresses carry an IPv4 address: where they begin, how long the prefix is, where the four bytes are. */
const IPV4_CARRIERS: readonly (readonly [base: readonly number[], prefixBits: number, at: number])[] = [
  [padded([], [0xff, 0xff, 0, 0, 0, 0]), 96, 12], // IPv4-mapped, RFC 4291 2.5.5.2
  [padded([]), 96, 12], // IPv4-compatible, RFC 4291 2.5.5.1
  [padded([0x00, 0x64, 0xff, 0x9b]), 96, 12], // NAT64, RFC 6052
  [padded([0x20, 0x02]), 16, 2], // 6to4, RFC 3056
];

function isWithin(bytes: readonly number[], base: readonly number[], prefixBits: number): boolean {
  for (let bit = 0; bit < prefixBits; bit += 8) {
    const mask = prefixBits - bit >= 8 ? 0xff : (0xff << (8 - (prefixBits - bit))) & 0xff;
    if (((bytes[bit / 8] ?? 0) & mask) !== ((base[bit / 8] ?? 0) & mask)) return false;
  }
  return true;
}

const kindBy = (rules: readonly Rule[], bytes: readonly number[]): AddressKind =>
  rules.find(([base, prefixBits]) => isWithin(bytes, base, prefixBits))?.[2] ?? 'public';

function ipv6Bytes(address: string): number[] {
  // The URL parser normalises every spelling, dotted tails included, to lower-case groups with at most one `::`.
  const normal = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', rest] = normal.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = groups(rest ?? '');
  const all = [...front, ...zeros(8 - front.length - back.length), ...back];
  return all.flatMap((group) => [group >> 8, group & 0xff]);
}

/** `address` as a DNS lookup gives it: IPv4, or IPv6 with or without zone. Anything else is `reserved`. Pure. */
export function addressKind(address: string): AddressKind {
  const bare = address.split('%', 1)[0] ?? '';
  if (isIPv4(bare)) return kindBy(IPV4_RULES, bare.split('.').map(Number));
  if (!isIPv6(bare)) return 'reserved';
  const bytes = ipv6Bytes(bare);
  const kind = kindBy(IPV6_RULES, bytes);
  if (kind !== 'public') return kind;
  const carrier = IPV4_CARRIERS.find(([base, prefixBits]) => isWithin(bytes, base, prefixBits));
  return carrier ? kindBy(IPV4_RULES, bytes.slice(carrier[2], carrier[2] + 4)) : 'public';
}

/** One spelling per address, so that a list can be compared with what DNS says. Zones are dropped. Pure. */
export function normalAddress(address: string): string {
  const bare = address.split('%', 1)[0] ?? '';
  if (!isIPv6(bare)) return bare.toLowerCase();
  const bytes = ipv6Bytes(bare);
  const mapped = IPV4_CARRIERS[0];
  if (mapped && isWithin(bytes, mapped[0], mapped[1])) return bytes.slice(12).join('.');
  return new URL(`http://[${bare}]`).hostname.slice(1, -1);
}
