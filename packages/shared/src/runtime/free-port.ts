/** TCP ports on loopback: which are free, and what answers on them. */
import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { CodedError } from './errors.js';

// Below the range the kernel takes the near end of outgoing connections from (from 32768 on in Linux): a port from that
// range could be taken by a client between two starts of its server, even by a client of that very server.
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES = 200;
/** For an answer. */
const PATIENCE_MS = 2000;

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

/** Whether something accepts connections there; with `send`, whether what it answers contains `expect`. */
export function answersOn(port: number, send = '', expect = '', host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    let seen = '';
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PATIENCE_MS, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('connect', () => (send === '' ? finish(true) : socket.write(send)));
    socket.on('data', (bytes) => {
      seen += bytes.toString('latin1');
      if (seen.length >= expect.length) finish(seen.includes(expect));
    });
  });
}
