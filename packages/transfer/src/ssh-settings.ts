/** The settings behind `sftp` locations: which servers are trusted, and our key. Files that are followed while a service runs. */

import { optionalText } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type FileReports, followFile, textOf } from '@khumbu/shared/runtime/followed-file';
import { type KeyProblem, privateKeyProblem } from '@khumbu/shared/ssh/private-key';
import type { Static, TObject } from 'typebox';
import type { TransferContext } from './port.js';

export const SSH_SETTINGS = {
  LOCATION_KNOWN_HOSTS_FILE: optionalText(
    'File of host keys as known_hosts of OpenSSH has them: the only servers that sftp locations may lead to.',
  ),
  LOCATION_PRIVATE_KEY_FILE: optionalText(
    'SSH key without a passphrase, for sftp locations that have a user and no password.',
  ),
} as const;

type SshSettings = Static<TObject<typeof SSH_SETTINGS>>;

const bad = (text: string): CodedError => new CodedError('CONFIG_INVALID', text);

/** Throws for a line that pins nothing: it would be passed over in silence. */
function readKnownHosts(bytes: Buffer): string {
  const text = textOf(bytes);
  text.split(/\r?\n/).forEach((line, index) => {
    const words = line
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '' && !word.startsWith('@'));
    const isEmpty = words.length === 0 || words[0]?.startsWith('#');
    if (!isEmpty && words.length < 3) throw bad(`line ${index + 1} is no host, type and key`);
  });
  return text;
}

const UNUSABLE: Readonly<Record<KeyProblem, string>> = {
  pkcs8: 'it is PKCS#8: make one with ssh-keygen -t ed25519 -N ""',
  encrypted: 'it has a passphrase, which nobody is there to type: make one with ssh-keygen -t ed25519 -N ""',
  unreadable: 'it is no private key of OpenSSH',
  public: 'it holds no private key',
};

function readKey(bytes: Buffer): string {
  const text = textOf(bytes);
  const found = privateKeyProblem(text);
  if (found) throw bad(UNUSABLE[found.problem]);
  return text;
}

export interface SshTrust {
  /** As the files are now. */
  readonly current: () => Pick<TransferContext, 'knownHosts' | 'privateKey'>;
  readonly close: () => void;
}

/** Throws `CONFIG_INVALID` for a bad file at the start. */
export function followSshTrust(config: SshSettings, reports: FileReports): SshTrust {
  const follow = (setting: keyof SshSettings, read: (bytes: Buffer) => string) => {
    const path = config[setting];
    return path === undefined ? undefined : followFile({ setting, path, read, code: 'CONFIG_INVALID', reports });
  };
  const hosts = follow('LOCATION_KNOWN_HOSTS_FILE', readKnownHosts);
  const key = follow('LOCATION_PRIVATE_KEY_FILE', readKey);
  return {
    current: () => ({ knownHosts: hosts?.current(), privateKey: key?.current() }),
    close() {
      hosts?.close();
      key?.close();
    },
  };
}
