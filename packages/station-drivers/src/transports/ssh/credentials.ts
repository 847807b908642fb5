/** The files of an SSH connection: our key, and the keys that are pinned for the other end. */
import { readFile } from 'node:fs/promises';
import { type PinnedKey, pinnedKeys } from '@khumbu/shared/ssh/known-hosts';
import { type KeyProblem, privateKeyProblem } from '@khumbu/shared/ssh/private-key';
import { type ReachStage, unreachable } from '../../pool.js';
import { pinnedAs, type SshTarget, targetName } from './target.js';

async function textOfFile(path: string, what: string, stage: ReachStage): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw unreachable(`${what} ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, error, stage);
  }
}

const unusable = (message: string): Error => unreachable(message, undefined, 'our_key');

const UNUSABLE: Readonly<Record<KeyProblem, (path: string, detail: string) => string>> = {
  pkcs8: (path) => `private_key_file ${path} is PKCS#8: make one with ssh-keygen -t ed25519 -f ${path}`,
  encrypted: (path) => `private_key_file ${path} has a passphrase: give it to an ssh-agent and name its agent_socket`,
  unreadable: (path, detail) => `private_key_file ${path} is no private key: ${detail}`,
  public: (path) => `private_key_file ${path} holds no private key`,
};

/** Our key. Refused here is what would be misread, or what would stop the worker while it is decrypted. */
export async function readPrivateKey(path: string): Promise<string> {
  const text = await textOfFile(path, 'private_key_file', 'our_key');
  const found = privateKeyProblem(text);
  if (found) throw unusable(UNUSABLE[found.problem](path, found.detail));
  return text;
}

/** What is pinned for the host. Rejects where nothing is: then nothing could tell whether it is the right one. */
export async function readPinned(target: SshTarget): Promise<readonly PinnedKey[]> {
  const text = await textOfFile(target.knownHostsFile, 'known_hosts_file', 'pinned_key');
  const { host, port } = pinnedAs(target);
  const pinned = pinnedKeys(text, host, port);
  if (pinned.some(({ revoked }) => !revoked)) return pinned;
  throw unreachable(
    `no host key of ${targetName(target)} is pinned in ${target.knownHostsFile}: npm run station-trust shows it`,
    undefined,
    'pinned_key',
  );
}
