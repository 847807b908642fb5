/** One SSH connection: opened with a pinned host key, watched by keep-alive, with sessions that may get stuck. */
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import { algorithmsFor, fingerprint, judgeHostKey, type PinnedKey } from '@khumbu/shared/ssh/known-hosts';
import ssh2, { type Client, type ConnectConfig } from 'ssh2';
import { type PooledConnection, unreachable } from '../../pool.js';
import { plainText } from '../../station-text.js';
import type { StationProcess } from '../transport.js';
import { readPinned, readPrivateKey } from './credentials.js';
import { type Line, openForward, openSession } from './session.js';
import { type SshTarget, targetName } from './target.js';

export interface SshConnection extends PooledConnection {
  /** Rejects with `STATION_UNREACHABLE`, and with `SESSION_REFUSED` where the server has no room for one more. */
  exec(command: string, signal: AbortSignal): Promise<StationProcess>;
  forward(host: string, port: number): Promise<Duplex>;
}

function openTcp(host: string, port: number, ms: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(unreachable(`${host}:${port}: ${describeError(error)}`, error, 'network'));
    };
    const timer = setTimeout(() => fail(new Error(`no answer in ${ms} ms`)), ms);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      // Small pieces would wait for each other's acknowledgement.
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

const REFUSALS = {
  unknown: 'is not pinned',
  changed: 'is not the pinned one: either the station got a new key or someone else answers in its place',
  revoked: 'is marked as revoked',
} as const;

function whyNot(target: SshTarget, error: Error & { level?: string }, refusal: string | undefined): Error {
  const name = targetName(target);
  if (refusal !== undefined) return unreachable(refusal, error, 'host_key');
  if (error.level === 'client-authentication') return unreachable(`${name} refuses our key or user`, error, 'login');
  if (error.level === 'handshake')
    return unreachable(`${name} has no algorithm in common: ${plainText.error(error)}`, error, 'algorithms');
  return unreachable(`${name}: ${plainText.error(error)}`, error);
}

function handshake(
  client: Client,
  target: SshTarget,
  config: ConnectConfig,
  pinned: readonly PinnedKey[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: string | undefined;
    client.once('ready', resolve);
    client.once('error', (error) => reject(whyNot(target, error, refusal)));
    client.once('close', () => reject(unreachable(`${targetName(target)} closed the connection`)));
    client.connect({
      ...config,
      username: target.user,
      readyTimeout: target.connectMs,
      keepaliveInterval: target.keepAliveMs,
      keepaliveCountMax: 2,
      algorithms: { serverHostKey: [...algorithmsFor(pinned)] as never },
      // Synchronous: a promise would be truthy whatever it holds.
      hostVerifier: (key: Buffer): boolean => {
        const judged = judgeHostKey(pinned, key);
        if (judged === 'pinned') return true;
        refusal = `the host key ${fingerprint(key)} of ${targetName(target)} ${REFUSALS[judged]}`;
        return false;
      },
    });
  });
}

export async function openConnection(
  target: SshTarget,
  via?: (jump: SshTarget, host: string, port: number) => Promise<Duplex>,
): Promise<SshConnection> {
  const pinned = await readPinned(target);
  // Not `none` first, as ssh2 does by itself: a request that only fails, and the time there and back.
  const login: ConnectConfig =
    target.privateKeyFile === undefined
      ? { agent: target.agentSocket ?? '', authHandler: ['agent'] }
      : { privateKey: await readPrivateKey(target.privateKeyFile), authHandler: ['publickey'] };
  const sock =
    target.jump && via
      ? await via(target.jump, target.host, target.port)
      : await openTcp(target.host, target.port, target.connectMs);
  const client = new ssh2.Client();
  // One that is told after another is no news, and would end the process.
  client.on('error', () => {});
  try {
    await handshake(client, target, { ...login, sock: sock as Socket }, pinned);
  } catch (error) {
    client.destroy();
    sock.destroy();
    throw error;
  }
  return connectionOn(client, sock, target);
}

function connectionOn(client: Client, sock: Duplex, target: SshTarget): SshConnection {
  let isSpent = false;
  let sessions = 0;
  let lostBy: string | undefined;
  client.on('error', (error) => {
    lostBy ??= `${targetName(target)}: ${plainText.error(error)}`;
    isSpent = true;
  });
  client.on('close', () => {
    lostBy ??= `${targetName(target)} closed the connection`;
    isSpent = true;
    sock.destroy();
  });
  // A connection that is only kept does not keep the process.
  const hold = (): void => ('ref' in sock ? void (sock as Socket).ref() : undefined);
  const rest = (): void => ('unref' in sock ? void (sock as Socket).unref() : undefined);
  rest();
  const endIfIdle = (): void => {
    if (!isSpent || sessions > 0) return;
    client.end();
    sock.destroy();
  };
  const begin = (): void => {
    sessions += 1;
    hold();
  };
  const finish = (): void => {
    sessions -= 1;
    if (sessions === 0) rest();
    endIfIdle();
  };

  const over = (isStuck: boolean): void => {
    // The place of a session that does not close stays taken at the server.
    isSpent ||= isStuck;
    finish();
  };

  const line: Line = {
    name: targetName(target),
    sock,
    lostBy: () => lostBy,
    lose(why) {
      lostBy ??= why;
      isSpent = true;
    },
    over,
  };

  return {
    get isSpent() {
      return isSpent;
    },
    retire() {
      isSpent = true;
      endIfIdle();
    },
    async exec(command, signal) {
      begin();
      const opening = openSession(client, line, command);
      opening.catch(finish);
      try {
        return await unlessAborted(opening, signal);
      } catch (error) {
        opening.then(
          (process) => process.letGo(),
          () => {},
        );
        throw error;
      }
    },
    async forward(host, port) {
      begin();
      try {
        return await openForward(
          client,
          `${targetName(target)} does not reach ${host}:${port}`,
          { host, port },
          finish,
        );
      } catch (error) {
        finish();
        throw error;
      }
    },
  };
}
