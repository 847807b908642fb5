/** Free TCP ports on loopback. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { CodedError } from './errors.js';

// Below the range the kernel takes the near end of outgoing connections from (from 32768 on in Linux): a port from that
// range could be taken by a client between two starts of its server, even by a client of that very server.
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES = 200;

/** Whether a server could listen there now. Resolves with the reason if not, such as `EADDRINUSE`. */
export function whyPortIsTaken(port: number, host = '127.0.0.1'): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}

/** A port on which nothing listens now. It is not reserved: use it soon. Rejects with `NO_FREE_PORT`. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if ((await whyPortIsTaken(port, host)) === undefined) return port;
  }
  throw new CodedError('NO_FREE_PORT', `no free port found on ${host} between ${LOWEST} and ${HIGHEST}`);
}
