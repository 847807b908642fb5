/** Stations reached by SSH, over connections that all drivers of the process share. */
import { setTimeout as pause } from 'node:timers/promises';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { type ConnectionPool, createPool, type ReachStage, stageOf, unreachable } from '../../pool.js';
import type { StationProcess, Transport } from '../transport.js';
import { openConnection, type SshConnection } from './connection.js';
import { quoteArgv } from './quote.js';
import { type SshTarget, targetKey, targetName } from './target.js';

export type SshPool = ConnectionPool<SshTarget, SshConnection>;

/** How long a session is asked for again at a server that has no room for one. */
const REFUSED_MS = 10_000;
const REFUSED_PAUSE_MS = 250;

/** A server that refuses us is not asked again at once: it might lock us out. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Error && /refuses our key|^the host key/.test(error.message);

/** A connection was opened, or could not be: for who keeps account of logins. */
export interface Login {
  /** Absent: not for a station of the stations file. */
  readonly station?: string;
  /** user@host:port. */
  readonly at: string;
  /** Absent: it is open. */
  readonly failure?: { readonly stage?: ReachStage; readonly message: string };
}

/** Must not throw. */
export type OnLogin = (login: Login) => void;

export interface SshPoolOptions {
  readonly mostOpen?: number;
  readonly idleMs?: number;
  readonly onLogin?: OnLogin;
}

/** The connection, told of either way. */
async function told(
  target: SshTarget,
  opening: Promise<SshConnection>,
  onLogin: OnLogin | undefined,
): Promise<SshConnection> {
  const { station } = target;
  const login = { ...(station === undefined ? {} : { station }), at: targetName(target) };
  try {
    const connection = await opening;
    onLogin?.(login);
    return connection;
  } catch (error) {
    const stage = stageOf(error);
    onLogin?.({ ...login, failure: { ...(stage === undefined ? {} : { stage }), message: describeError(error) } });
    throw error;
  }
}

export function createSshPool(options: SshPoolOptions = {}): SshPool {
  const pool: SshPool = createPool({
    keyOf: targetKey,
    open: (target) => told(target, openFor(target), options.onLogin),
    sessionsEach: 8,
    mostOpen: options.mostOpen ?? 256,
    mostOpening: 16,
    idleMs: options.idleMs ?? 60_000,
    pauseMs: (error) => (isRefusal(error) ? 15_000 : 1000),
  });
  const openFor = (target: SshTarget): Promise<SshConnection> =>
    openConnection(target, async (jump, host, port) => {
      const lease = await pool.acquire(jump, AbortSignal.timeout(jump.connectMs));
      try {
        const channel = await lease.connection.forward(host, port);
        channel.once('close', lease.release);
        return channel;
      } catch (error) {
        lease.release();
        throw error;
      }
    });
  return pool;
}

export function createSshTransport(target: SshTarget, pool: SshPool): Transport {
  const session = async (command: string, signal: AbortSignal): Promise<StationProcess> => {
    const lease = await pool.acquire(target, signal);
    try {
      const process = await lease.connection.exec(command, signal);
      void process.ended.then(lease.release);
      return {
        ...process,
        letGo() {
          process.letGo();
          lease.release();
        },
      };
    } catch (error) {
      lease.release();
      throw error;
    }
  };
  return {
    name: 'ssh',
    async begin(argv, signal) {
      const command = quoteArgv(argv);
      const until = performance.now() + REFUSED_MS;
      for (;;) {
        try {
          return await session(command, signal);
        } catch (error) {
          if (!hasCode(error, 'SESSION_REFUSED')) throw error;
          if (performance.now() > until) throw unreachable(`${targetName(target)} opens no more sessions`, error);
          await pause(REFUSED_PAUSE_MS, undefined, { signal });
        }
      }
    },
  };
}
