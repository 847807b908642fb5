/** Stations reached by SSH, over connections that all drivers of the process share. */
import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type ConnectionPool, createPool, unreachable } from '../../pool.js';
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

export function createSshPool(options: { readonly mostOpen?: number; readonly idleMs?: number } = {}): SshPool {
  const pool: SshPool = createPool({
    keyOf: targetKey,
    open: (target) =>
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
      }),
    sessionsEach: 8,
    mostOpen: options.mostOpen ?? 256,
    mostOpening: 16,
    idleMs: options.idleMs ?? 60_000,
    pauseMs: (error) => (isRefusal(error) ? 15_000 : 1000),
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
