/** A session of SFTP over a connection of its own, to a server whose host key is pinned. draft-ietf-secsh-filexfer-02, as OpenSSH has it. */
import type { Socket } from 'node:net';
import type { FileLocation } from '@khumbu/shared/locations/file-path';
import { deadlineAfter, onAbort, unlessAborted } from '@khumbu/shared/runtime/abort';
import { readableError } from '@khumbu/shared/runtime/readable-text';
import { algorithmsFor, fingerprint, judgeHostKey, type PinnedKey, pinnedKeys } from '@khumbu/shared/ssh/known-hosts';
import ssh2, { type ConnectConfig, type SFTPWrapper } from 'ssh2';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { type Leg, silenceOf, TransferError } from '../../transfer-error.js';
import { connectTo } from '../files/connect.js';

type Answered<T> = (error: Error | undefined | null, value: T) => void;

export interface SftpSession {
  readonly leg: Leg;
  readonly sftp: SFTPWrapper;
  /** One request: rejects with what the server answers, when the connection is lost or silent, or with the signal's reason. */
  ask<T = void>(request: (sftp: SFTPWrapper, answered: Answered<T>) => void): Promise<T>;
  /** As `ask`, for one of many under way: whoever waits for them watches for stalls. */
  begin<T = void>(request: (sftp: SFTPWrapper, answered: Answered<T>) => void): Promise<T>;
  fault(error: unknown): unknown;
  /** Ends everything at once. Safe to repeat. */
  close(): void;
}

function pinsOf(leg: Leg, location: FileLocation, { knownHosts }: TransferContext): readonly PinnedKey[] {
  const pinned = pinnedKeys(knownHosts ?? '', location.host, location.port);
  if (pinned.some(({ revoked }) => !revoked)) return pinned;
  throw new TransferError(leg, 'host_key_unknown', `no host key of the server is pinned in LOCATION_KNOWN_HOSTS_FILE`);
}

/** Password, or our key. */
function loginOf(leg: Leg, { credentials }: FileLocation, { privateKey }: TransferContext): ConnectConfig {
  const { username = '', password = '' } = credentials ?? {};
  if (username === '') throw new TransferError(leg, 'login_refused', 'the location names no user');
  if (password !== '') return { username, password, tryKeyboard: true };
  if (privateKey !== undefined) return { username, privateKey };
  throw new TransferError(
    leg,
    'login_refused',
    'the location has no password, and no LOCATION_PRIVATE_KEY_FILE is set',
  );
}

const JUDGED = {
  unknown: ['host_key_unknown', 'is not pinned'],
  changed: ['host_key_changed', 'is not the pinned one'],
  revoked: ['host_key_changed', 'is marked as revoked'],
} as const;

function handshakeFault(leg: Leg, error: Error & { level?: string }): TransferError | undefined {
  if (error.level === 'client-authentication')
    return new TransferError(leg, 'login_refused', `the server refuses this user, password or key`, {
      cause: error,
    });
  if (error.level === 'handshake')
    return new TransferError(leg, 'algorithms', `the server has no algorithm in common: ${readableError(error)}`, {
      cause: error,
    });
  if (error.level !== 'client-timeout') return undefined;
  return new TransferError(leg, silenceOf(leg), `the server said nothing for too long`, { cause: error });
}

function connected(leg: Leg, config: ConnectConfig, pinned: readonly PinnedKey[], client: ssh2.Client) {
  return new Promise<void>((resolve, reject) => {
    let refusal: TransferError | undefined;
    const { password = '' } = config;
    client.once('ready', resolve);
    client.once('error', (error) => reject(refusal ?? handshakeFault(leg, error) ?? error));
    client.once('close', () => reject(new Error('the server closed the connection')));
    // Servers that ask by PAM know no plain passwords.
    client.on('keyboard-interactive', (_name, _words, _language, prompts, answer) =>
      answer(prompts.map(() => password)),
    );
    client.connect({
      ...config,
      keepaliveCountMax: 2,
      algorithms: { serverHostKey: [...algorithmsFor(pinned)] as never },
      // Synchronous: a promise would be truthy whatever it holds.
      hostVerifier: (key: Buffer): boolean => {
        const judged = judgeHostKey(pinned, key);
        if (judged === 'pinned') return true;
        const [reason, words] = JUDGED[judged];
        refusal = new TransferError(leg, reason, `the host key ${fingerprint(key)} of the server ${words}`);
        return false;
      },
    });
  });
}

const silence = (leg: Leg, stallMs: number): TransferError =>
  new TransferError(leg, silenceOf(leg), `the server said nothing for ${stallMs} ms`);

/** Throws `TransferError`, or the signal's reason. */
export async function openSession(
  leg: Leg,
  location: FileLocation,
  context: TransferContext,
  signal: AbortSignal,
): Promise<SftpSession> {
  const pinned = pinsOf(leg, location, context);
  const login = loginOf(leg, location, context);
  const { stallMs } = context;
  const sock: Socket = await connectTo(leg, location, context, signal);
  const client = new ssh2.Client();
  // One error after another is no news, and would end the process.
  client.on('error', () => {});
  sock.on('error', () => {});
  const waiting = new Set<(error: unknown) => void>();
  const failAll = (error: unknown): void => {
    for (const fail of waiting) fail(error);
  };
  /** The library answers no request that is made afterwards. */
  let lost: Error | undefined;
  const lose = (error: Error): void => {
    lost ??= error;
    failAll(lost);
  };
  /** Settles as the work does, or when the connection is lost or the signal fires. */
  const unlessLost = <T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (lost) return reject(lost);
      waiting.add(reject);
      const settle = (act: () => void): void => {
        waiting.delete(reject);
        act();
      };
      begin(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error as Error)),
      );
    });
  client.once('close', () => lose(new Error('the server closed the connection')));
  const withdraw = onAbort(signal, () => failAll(signal.reason));
  client.once('close', withdraw);
  const close = (): void => {
    client.destroy();
    sock.destroy();
  };
  const fault = (error: unknown): unknown => {
    if (signal.aborted) return signal.reason;
    return error instanceof TransferError ? error : networkFailure(leg, error);
  };
  const deadline = deadlineAfter(stallMs, signal);
  try {
    const config: ConnectConfig = {
      ...login,
      sock,
      readyTimeout: stallMs,
      keepaliveInterval: Math.max(1000, stallMs / 3),
    };
    await unlessAborted(connected(leg, config, pinned, client), deadline.signal);
    const opening = unlessLost<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, channel) =>
        error
          ? reject(new TransferError(leg, 'no_sftp', `the server offers no SFTP`, { cause: error }))
          : resolve(channel),
      );
    });
    const sftp = await unlessAborted(opening, deadline.signal);
    sftp.on('error', lose);
    sftp.once('close', () => lose(new Error('the server ended SFTP')));
    type Request<T> = (sftp: SFTPWrapper, answered: Answered<T>) => void;
    const begin = <T>(request: Request<T>): Promise<T> =>
      unlessLost<T>((resolve, reject) => {
        signal.throwIfAborted();
        request(sftp, (error, value) => (error ? reject(error) : resolve(value)));
      });
    // The SSH server answers keepalives for an SFTP server that hangs, as on a file system that is away.
    const ask = async <T>(request: Request<T>): Promise<T> => {
      const patience = deadlineAfter(stallMs);
      try {
        return await unlessAborted(begin(request), patience.signal);
      } catch (error) {
        throw error === patience.signal.reason ? silence(leg, stallMs) : error;
      } finally {
        patience.clear();
      }
    };
    return { leg, sftp, ask, begin, fault, close };
  } catch (error) {
    close();
    const isLate = deadline.signal.aborted && !signal.aborted;
    throw isLate ? silence(leg, stallMs) : fault(error);
  } finally {
    deadline.clear();
  }
}
