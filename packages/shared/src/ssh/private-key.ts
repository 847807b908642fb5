/** Private keys of SSH, as far as they can be used unattended: what would be misread, or stop a process while it is decrypted, is refused. */
import ssh2 from 'ssh2';

/** `pkcs8`: OpenSSH reads it, ssh2 does not. `encrypted`: it has a passphrase, and decrypting takes seconds of the main thread. */
export type KeyProblem = 'pkcs8' | 'encrypted' | 'unreadable' | 'public';

/** What keeps the text from being used as a key, with words of the reader; `undefined`: nothing. Repeats nothing of it. Pure. */
export function privateKeyProblem(text: string): { readonly problem: KeyProblem; readonly detail: string } | undefined {
  if (text.includes('BEGIN PRIVATE KEY') || text.includes('BEGIN ENCRYPTED PRIVATE KEY'))
    return { problem: 'pkcs8', detail: 'PKCS#8' };
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) {
    const problem = /encrypted|passphrase/i.test(key.message) ? 'encrypted' : 'unreadable';
    return { problem, detail: key.message };
  }
  const [first] = Array.isArray(key) ? key : [key];
  return first?.isPrivateKey() ? undefined : { problem: 'public', detail: 'holds no private key' };
}
