/**
 * A signature over a digest that is known already, verified by the `openssl` program: Node verifies over a whole message
 * only, so each signature would cost a pass over the image. What OpenSSL gets of anybody's are a public key that was
 * judged before (`strength.ts`), a signature, and our digest.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';

const PROGRAM = 'openssl';
const MIN_MAJOR = 3;
/** It takes milliseconds; on a machine that is overloaded, longer. */
const DEADLINE_MS = 60_000;
/** What the machine's openssl.cnf says must not change a verdict. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, OPENSSL_CONF: '/dev/null', LC_ALL: 'C' });

/** What `pkeyutl` of OpenSSL 3 prints; it says the second of all that is no valid signature, whatever is wrong with it. */
const GOOD = 'Signature Verified Successfully';
const BAD = 'Signature Verification Failure';

export interface DigestQuestion {
  readonly key: KeyObject;
  /** As the key's type has it: for ECDSA in DER. */
  readonly signature: Buffer;
  /** SHA-256, 32 bytes. */
  readonly digest: Buffer;
  /** Further `-pkeyopt`, such as the padding. */
  readonly options: readonly string[];
  /** A folder for files of a few hundred bytes, which lose their names at once. */
  readonly scratchDir: string;
  readonly signal: AbortSignal;
}

const missing = (cause: unknown): CodedError =>
  new CodedError(
    'OPENSSL_MISSING',
    `the program ${PROGRAM} cannot be started (${describeError(cause)}): signatures of firmware are verified by it; install OpenSSL ${MIN_MAJOR} or newer`,
    { cause },
  );

/** Whether a version of the program is one that is known to answer as expected. Pure. */
export function isUsableVersion(version: string): boolean {
  const major = /^OpenSSL (\d+)\./.exec(version)?.[1];
  return major !== undefined && Number(major) >= MIN_MAJOR;
}

/** To be called when a service starts that will verify. Throws `OPENSSL_MISSING` or `OPENSSL_UNUSABLE`. Blocks for milliseconds. */
export function requireOpenssl(): void {
  const { error, stdout } = spawnSync(PROGRAM, ['version'], {
    env: environment(),
    encoding: 'utf8',
    timeout: DEADLINE_MS,
  });
  if (error) throw missing(error);
  if (!isUsableVersion(stdout))
    throw new CodedError('OPENSSL_UNUSABLE', `OpenSSL ${MIN_MAJOR} or newer is needed, not ${stdout.trim()}`);
}

/** A file without a name: nothing is left of it, also after a kill. Only our user could open it before. */
async function nameless(folder: string, content: string | Buffer): Promise<FileHandle> {
  const path = join(folder, `${randomUUID()}.tmp`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await rm(path);
    await file.writeFile(content);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function answerOf(child: ChildProcess): Promise<boolean> {
  const { stdout, stderr } = child;
  if (!stdout || !stderr) throw new TypeError('its output is piped');
  const [[code, killedBy], out, why] = await Promise.all([
    once(child, 'close') as Promise<[number | null, string | null]>,
    text(stdout),
    text(stderr),
  ]);
  if (code === 0 && out.trim() === GOOD) return true;
  if (code === 1 && out.trim() === BAD) return false;
  const [reason = ''] = why.trim().split('\n');
  throw new CodedError('OPENSSL_FAILED', `${PROGRAM} gave no verdict (${killedBy ?? code}): ${reason}`);
}

/**
 * Whether the signature is good. Safe to repeat and to abort. Throws `OPENSSL_MISSING`, `OPENSSL_FAILED` (no verdict), the
 * file system's error, or the signal's reason: never a verdict that OpenSSL did not give.
 */
export async function verifyDigest(question: DigestQuestion): Promise<boolean> {
  const { key, signature, digest, options, scratchDir, signal } = question;
  signal.throwIfAborted();
  const files: FileHandle[] = [];
  const deadline = deadlineAfter(DEADLINE_MS, signal);
  try {
    for (const content of [key.export({ type: 'spki', format: 'pem' }), signature, digest])
      files.push(await nameless(scratchDir, content));
    const inputs = ['-inkey', '/dev/fd/3', '-sigfile', '/dev/fd/4', '-in', '/dev/fd/5'];
    const more = ['digest:sha256', ...options].flatMap((option) => ['-pkeyopt', option]);
    const child = spawn(PROGRAM, ['pkeyutl', '-verify', '-pubin', ...inputs, ...more], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe', ...files.map(({ fd }) => fd)],
      signal: deadline.signal,
      killSignal: 'SIGKILL',
    });
    return await answerOf(child);
  } catch (error) {
    signal.throwIfAborted();
    throw hasCode(error, 'ENOENT', 'EACCES') && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn')
      ? missing(error)
      : error;
  } finally {
    deadline.clear();
    await Promise.all(files.map((file) => file.close()));
  }
}
