/** The host key that a station shows, for a person to compare. Nothing is trusted by it. */
import type { Duplex } from 'node:stream';
import { fingerprint, hostEntry } from '@khumbu/shared/ssh/known-hosts';
import ssh2, { type ConnectConfig } from 'ssh2';
import { openConnection } from './connection.js';
import { pinnedAs, type SshTarget } from './target.js';

export interface ShownHostKey {
  readonly fingerprint: string;
  /** For known_hosts, without line end. */
  readonly line: string;
}

/** The type is the first field of the key itself. RFC 4253, 6.6. */
const typeOf = (key: Buffer): string => key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
/** It becomes a word of a line, and is shown to a person. RFC 4251, 6. */
const NAME = /^[a-z0-9@.-]{1,64}$/;

function askAt(target: SshTarget, way: ConnectConfig, timeoutMs: number): Promise<ShownHostKey> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('close', () => reject(new Error(`${target.host}:${target.port} closed the connection`)));
    client.connect({
      ...way,
      username: 'nobody',
      readyTimeout: timeoutMs,
      hostVerifier: (key: Buffer): boolean => {
        const { host, port } = pinnedAs(target);
        const type = key.length < 4 ? '' : typeOf(key);
        if (!NAME.test(type)) {
          reject(new Error(`${target.host}:${target.port} shows a key of no known form`));
          return false;
        }
        const line = `${hostEntry(host, port)} ${type} ${key.toString('base64')}`;
        resolve({ fingerprint: fingerprint(key), line });
        return false;
      },
    });
  });
}

/** By way of its jump host, which has to be pinned. Rejects when no key is shown within the time. */
export async function shownHostKey(target: SshTarget, timeoutMs: number): Promise<ShownHostKey> {
  const { host, port, jump } = target;
  if (!jump) return askAt(target, { host, port }, timeoutMs);
  const connection = await openConnection(jump);
  try {
    const sock: Duplex = await connection.forward(host, port);
    return await askAt(target, { sock: sock as NonNullable<ConnectConfig['sock']> }, timeoutMs).finally(() =>
      sock.destroy(),
    );
  } finally {
    connection.retire();
  }
}
