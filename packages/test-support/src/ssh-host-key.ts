/** A host key for servers of SSH in tests. */
import { generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';

export interface SshHostKey {
  /** PEM, as servers want it. */
  readonly privateKey: string;
  /** `ecdsa-sha2-nistp256 AAAA...`, as known-hosts files have it behind the name. */
  readonly publicKey: string;
}

/** Made by Node: of the Ed25519 keys that ssh2 1.17.0 makes, one in 256 cannot be read, neither by itself nor by OpenSSH. */
export function makeSshHostKey(): SshHostKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  const key = ssh2.utils.parseKey(pem);
  if (key instanceof Error) throw key;
  return { privateKey: pem, publicKey: `${key.type} ${key.getPublicSSH().toString('base64')}` };
}
