/** The host key that a station shows, for a person to compare. Nothing is trusted by it. */
import ssh2 from 'ssh2';
import { fingerprint, hostEntry } from './known-hosts.js';

export interface ShownHostKey {
  readonly fingerprint: string;
  /** For known_hosts, without line end. */
  readonly line: string;
}

/** The type is the first field of the key itself. RFC 4253, 6.6. */
const typeOf = (key: Buffer): string => key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');

/** Rejects when no key is shown within the time. */
export function shownHostKey(host: string, port: number, timeoutMs: number): Promise<ShownHostKey> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('close', () => reject(new Error(`${host}:${port} closed the connection`)));
    client.connect({
      host,
      port,
      username: 'nobody',
      readyTimeout: timeoutMs,
      hostVerifier: (key: Buffer): boolean => {
        const line = `${hostEntry(host, port)} ${typeOf(key)} ${key.toString('base64')}`;
        resolve({ fingerprint: fingerprint(key), line });
        return false;
      },
    });
  });
}
