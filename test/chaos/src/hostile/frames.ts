/**
 * Frames that are never sent on purpose: EVerest's own, broken member by member and byte by byte, and what was never
 * one. A second writing of the wire contract, so that a mistake in the first does not hide itself; a channel that is not
 * written here is attacked all the same, from its example in the first.
 */
import { gzipSync } from 'node:zlib';
import { channel, channelNames, type E2mChannelName } from '@khumbu/shared/contract/channels';
import type { Random } from '../random.js';
import { LARGEST_BYTES, REPLY_TO_TRICKS, WILD_VALUES } from './wild-values.js';

/** JSON as text, or members in order, so that a key can come twice. */
type Node = string | readonly (readonly [key: string, value: Node])[];

const text = (value: string): string => JSON.stringify(value);
const render = (node: Node): string =>
  typeof node === 'string' ? node : `{${node.map(([key, value]) => `${text(key)}:${render(value)}`).join(',')}}`;

const UPDATE: Node = [
  ['location', text('https://files.example/image.bin')],
  ['request_id', '7'],
  ['retries', '3'],
  ['retry_interval_s', '10'],
  ['retrieve_timestamp', text('2026-01-01T00:00:00.000Z')],
  ['signature', text('c2lnbmF0dXJl')],
  ['signing_certificate', text('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')],
];
const LOGS: Node = [
  ['location', text('https://files.example/logs/')],
  ['request_id', '8'],
  ['oldest_timestamp', text('2026-01-01T00:00:00Z')],
  ['type', text('DiagnosticsLog')],
];
const NETWORK: Node = [
  ['interface', text('Wireless0')],
  ['request_id', '9'],
  [
    'apn',
    [
      ['apn', text('internet')],
      ['apn_authentication', text('CHAP')],
    ],
  ],
];
const RESET: Node = [
  ['scheduled', 'false'],
  ['type', text('Soft')],
];

interface LeafRow {
  readonly payload: Node | undefined;
  readonly framed: boolean;
  /** What EVerest assumes without an answer; `undefined`: there is none. */
  readonly answer: string | undefined;
}

/** Leaves with the payloads that EVerest sends there. */
const WRITTEN: Readonly<Partial<Record<E2mChannelName, LeafRow>>> = {
  update_firmware: { payload: UPDATE, framed: true, answer: '"Rejected"' },
  upload_logs: { payload: LOGS, framed: true, answer: '{"upload_logs_status":"Rejected"}' },
  is_reset_allowed: { payload: text('Soft'), framed: true, answer: 'false' },
  set_system_time: { payload: text('2026-08-21T10:00:00Z'), framed: true, answer: 'false' },
  get_boot_reason: { payload: undefined, framed: true, answer: '"Unknown"' },
  configure_network: { payload: NETWORK, framed: true, answer: '{"status":"NotSupported"}' },
  reset: { payload: RESET, framed: false, answer: undefined },
  allow_firmware_installation: { payload: 'true', framed: false, answer: undefined },
  heartbeat: { payload: '0', framed: false, answer: undefined },
};

const nodeOf = (value: unknown): Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).map(([key, inside]) => [key, nodeOf(inside)] as const)
    : JSON.stringify(value);

/** As the published document shows it. */
function shownRow(leaf: E2mChannelName): LeafRow {
  const { frame, reply, text: shown } = channel(leaf);
  const framed = frame === 'envelope';
  const example = shown.examples[0]?.payload;
  const payload = framed ? (example as { readonly payload?: unknown } | undefined)?.payload : example;
  return {
    payload: payload === undefined ? undefined : nodeOf(payload),
    framed,
    answer: reply && JSON.stringify(reply.fallback),
  };
}

export type Leaf = E2mChannelName;
/** What is valid there is known by hand. */
export const isWritten = (leaf: Leaf): boolean => leaf in WRITTEN;
export const LEAF_NAMES = channelNames('e2m') as Leaf[];
export const LEAVES = Object.fromEntries(LEAF_NAMES.map((leaf) => [leaf, WRITTEN[leaf] ?? shownRow(leaf)])) as Readonly<
  Record<Leaf, LeafRow>
>;

function mutate(node: Node, random: Random): Node {
  if (typeof node === 'string') return random.pick(WILD_VALUES);
  const members = [...node];
  if (members.length === 0) return random.pick(WILD_VALUES);
  const at = random.between(0, members.length - 1);
  const [key, value] = members[at] as (typeof node)[number];
  const change = random.between(0, 6);
  if (change === 0) members.splice(at, 1);
  else if (change === 1) members.push([key, random.pick(WILD_VALUES)]);
  else if (change === 2) members[at] = [key, mutate(value, random)];
  else if (change === 3) members.unshift([random.pick(['__proto__', 'constructor', 'toString', '', key]), value]);
  else if (change === 4) members[at] = [`${key}${random.pick([' ', '\u0000', 'S', '\u200b'])}`, value];
  else if (change === 5) return random.pick(WILD_VALUES);
  else members[at] = [key, random.pick(WILD_VALUES)];
  return members;
}

function mutateBytes(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from([random.between(0, 255)]);
  const at = random.between(0, bytes.length - 1);
  const length = random.between(1, Math.min(40, bytes.length - at));
  const change = random.between(0, 4);
  if (change === 0) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.between(0, 7));
    return flipped;
  }
  if (change === 1) return bytes.subarray(0, at);
  if (change === 2) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
  const piece = bytes.subarray(at, at + length);
  if (change === 3) return Buffer.concat([bytes.subarray(0, at), piece, piece, bytes.subarray(at)]);
  const noise = Buffer.from(Array.from({ length: random.between(1, 8) }, () => random.between(0, 255)));
  return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
}

function encodeWrongly(frame: string, random: Random): Buffer {
  const change = random.between(0, 6);
  if (change === 0) return Buffer.from(frame, 'utf16le');
  if (change === 1) return Buffer.from(frame, 'utf16le').swap16();
  if (change === 2) return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(frame)]);
  if (change === 3) return gzipSync(frame);
  if (change === 4) return Buffer.from(frame.replace('e', '\u00e9'), 'latin1');
  // Overlong, and a surrogate written as three bytes.
  const odd = change === 5 ? [0xc0, 0xaf] : [0xed, 0xa0, 0x80];
  const at = random.between(0, frame.length);
  return Buffer.concat([Buffer.from(frame.slice(0, at)), Buffer.from(odd), Buffer.from(frame.slice(at))]);
}

const DEPTHS = [1000, 10_000, 50_000, 100_000];
function deep(random: Random): string {
  const depth = random.pick(DEPTHS);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['[{"__proto__":', '}]'],
  ] as const);
  const levels = Math.min(depth, Math.floor((LARGEST_BYTES * 0.9) / (open.length + close.length)));
  return `${open.repeat(levels)}1${random.chance(0.8) ? close.repeat(levels) : ''}`;
}

export interface HostileFrame {
  readonly leaf: Leaf;
  readonly bytes: Buffer;
  readonly kind: string;
}

/** `replyTo` is where an honest station would have its answer. */
export function hostileFrame(random: Random, replyTo: string): HostileFrame {
  const leaf = random.pick(LEAF_NAMES);
  const { payload, framed } = LEAVES[leaf];
  const trick = random.chance(0.1);
  const to = trick ? random.pick(REPLY_TO_TRICKS)(replyTo) : text(replyTo);
  const frameOf = (inside: Node | undefined): Node => {
    if (!framed) return inside ?? '{}';
    const headers: Node = [['headers', [['replyTo', to]]]];
    return inside === undefined ? headers : [...headers, ['payload', inside]];
  };
  const whole = frameOf(payload);
  const as = (kind: string, bytes: Buffer | string): HostileFrame => {
    const all = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    return { leaf, bytes: all.subarray(0, LARGEST_BYTES), kind: trick ? `${kind}, reply elsewhere` : kind };
  };
  const dice = random.next();
  if (dice < 0.4) {
    let inside: Node = payload ?? '{}';
    for (let count = random.between(1, 3); count > 0; count--) inside = mutate(inside, random);
    return as('members changed', render(frameOf(inside)));
  }
  if (dice < 0.5) return as('frame changed', render(mutate(whole, random)));
  if (dice < 0.7) {
    let bytes: Buffer = Buffer.from(render(whole));
    for (let count = random.between(1, 4); count > 0; count--) bytes = mutateBytes(bytes, random);
    return as('bytes changed', bytes);
  }
  if (dice < 0.8) return as('encoding', encodeWrongly(render(whole), random));
  if (dice < 0.88) return as('no frame at all', random.pick(['', 'null', '[]', '0', '""', '{}', ...WILD_VALUES]));
  if (dice < 0.883)
    return as('deep', render(frameOf(random.chance(0.5) ? deep(random) : [['location', deep(random)]])));
  if (dice < 0.884) {
    const size = random.chance(0.2) ? LARGEST_BYTES : random.between(10_000, 200_000);
    return as(
      'huge',
      render(
        frameOf([
          ['location', text('x'.repeat(Math.max(0, size - 300)))],
          ['request_id', '1'],
        ]),
      ),
    );
  }
  return as('as EVerest sends it', render(whole));
}
