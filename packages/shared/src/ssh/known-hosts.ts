/** Host keys pinned in a known_hosts file. Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Pure. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export interface PinnedKey {
  /** As in the file: `ssh-ed25519`. */
  readonly type: string;
  readonly key: Buffer;
  readonly revoked: boolean;
}

/** As the file names it: the host alone for port 22. */
export const hostEntry = (host: string, port: number): string =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;

function matchesHashed(pattern: string, entry: string): boolean {
  const [, , salt = '', hash = ''] = pattern.split('|');
  const wanted = Buffer.from(hash, 'base64');
  const got = createHmac('sha1', Buffer.from(salt, 'base64')).update(entry).digest();
  return wanted.length === got.length && timingSafeEqual(wanted, got);
}

/** `*` and `?` stand for any characters, everything else for itself. */
function matchesPattern(pattern: string, entry: string): boolean {
  const source = pattern
    .toLowerCase()
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(entry);
}

function matches(patterns: string, entry: string): boolean {
  if (patterns.startsWith('|1|')) return matchesHashed(patterns, entry);
  const list = patterns.split(',');
  // A negated pattern wins, wherever it stands.
  if (list.some((one) => one.startsWith('!') && matchesPattern(one.slice(1), entry))) return false;
  return list.some((one) => !one.startsWith('!') && matchesPattern(one, entry));
}

/** The keys that a file pins for a host. Lines of certificate authorities are left out: host certificates are not read. */
export function pinnedKeys(text: string, host: string, port: number): readonly PinnedKey[] {
  const entry = hostEntry(host, port);
  const found: PinnedKey[] = [];
  for (const line of text.split(/\r\n|\n/)) {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [patterns, type, key] = words;
    if (!patterns || patterns.startsWith('#') || !type || !key) continue;
    if (marker !== undefined && marker !== '@revoked') continue;
    if (!matches(patterns, entry)) continue;
    found.push({ type, key: Buffer.from(key, 'base64'), revoked: marker !== undefined });
  }
  return found;
}

/** As ssh-keygen shows it. */
export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

/** Whether a host that shows this key is the pinned one. */
export function judgeHostKey(
  pinned: readonly PinnedKey[],
  shown: Buffer,
): 'pinned' | 'unknown' | 'changed' | 'revoked' {
  const same = pinned.filter(({ key }) => key.equals(shown));
  if (same.some(({ revoked }) => revoked)) return 'revoked';
  if (same.length > 0) return 'pinned';
  return pinned.some(({ revoked }) => !revoked) ? 'changed' : 'unknown';
}

const SIGNATURES: Readonly<Record<string, readonly string[]>> = { 'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'] };

/** The host key algorithms to ask for: a server shows one key, and it must be one that is pinned. */
export const algorithmsFor = (pinned: readonly PinnedKey[]): readonly string[] => [
  ...new Set(pinned.filter(({ revoked }) => !revoked).flatMap(({ type }) => SIGNATURES[type] ?? [type])),
];
