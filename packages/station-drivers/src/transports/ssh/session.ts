/** Sessions and forwarded connections on an SSH connection that may break at any time, and sessions that may get stuck. */
import { type Duplex, Writable } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { unreachable } from '../../pool.js';
import { plainText } from '../../station-text.js';
import type { ProcessEnd, StationProcess } from '../transport.js';

/** For the server to open a session or to close one. */
const SESSION_MS = 10_000;
const CLOSE_MS = 3000;

class SessionRefused extends Error {
  readonly code = 'SESSION_REFUSED';
}

/** What the sessions of a connection have to do with it. */
export interface Line {
  readonly name: string;
  /** Why it can be used no more. */
  readonly lostBy: () => string | undefined;
  lose(why: string): void;
  /** What the connection runs over. */
  readonly sock: Duplex;
  /** A session is over; one that is stuck keeps its place at the server. */
  over(isStuck: boolean): void;
}

/** What follows may come in the very packet that opens it: it is listened to before anything else runs. */
export function openSession(client: Client, line: Line, command: string): Promise<StationProcess> {
  const { name, lostBy } = line;
  return new Promise((resolve, reject) => {
    const whyLost = lostBy();
    if (whyLost !== undefined) {
      reject(unreachable(whyLost));
      return;
    }
    const late = setTimeout(() => {
      line.lose(`${name} opens no session`);
      client.destroy();
      reject(unreachable(lostBy() ?? name));
    }, SESSION_MS);
    const lose = (): void => reject(unreachable(lostBy() ?? 'the connection was lost'));
    client.once('close', lose);
    const stop = (): void => {
      clearTimeout(late);
      client.off('close', lose);
    };
    try {
      client.exec(command, (error, channel) => {
        stop();
        if (!error) {
          resolve(processOn(channel, line));
          return;
        }
        const isFull = /open failed/i.test(error.message) && lostBy() === undefined;
        reject(
          isFull
            ? new SessionRefused('the station opens no more sessions')
            : unreachable(`${name}: ${plainText.error(error)}`, error),
        );
      });
    } catch (error) {
      // The connection is broken, and has not said so yet.
      stop();
      line.lose(`${name}: ${plainText.error(error)}`);
      reject(unreachable(`${name}: ${plainText.error(error)}`, error));
    }
  });
}

/** ssh2 throws where the connection is broken and has not said so yet. */
export function openForward(
  client: Client,
  failure: string,
  { host, port }: { readonly host: string; readonly port: number },
  onClose: () => void,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(unreachable(`${failure}: ${plainText.error(error)}`, error));
    try {
      client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
        if (error) {
          fail(error);
          return;
        }
        channel.once('close', onClose);
        resolve(channel);
      });
    } catch (error) {
      fail(error);
    }
  });
}

/**
 * The input of a process, in step with the network. ssh2 by itself takes two megabytes ahead, and encrypts as many again as the
 * window of the server allows whether its socket takes them or not: with twenty images on their way that was 100 MB.
 */
export function inputOf(channel: Duplex, sock: Duplex): Writable {
  let flowsOn: (() => void) | undefined;
  const onDrain = (): void => flowsOn?.();
  const stop = (): void => void input.destroy();
  const input = new Writable({
    write(piece, _encoding, done) {
      channel.write(piece, () => {
        if (!sock.writableNeedDrain) {
          done();
          return;
        }
        flowsOn = () => {
          flowsOn = undefined;
          done();
        };
      });
    },
    final(done) {
      channel.end();
      done();
    },
    destroy(error, done) {
      // What fails here must not leave the program there waiting for more.
      if (error) channel.destroy();
      sock.off('drain', onDrain);
      channel.off('close', stop);
      done(error);
    },
  });
  // One listener for all of its life: the socket has one of each of its sessions.
  sock.on('drain', onDrain);
  channel.once('close', stop);
  // Where it ends before its input has, the exit code of the program says why.
  input.on('error', () => {});
  return input;
}

function processOn(channel: ClientChannel, line: Line): StationProcess {
  let stuck: NodeJS.Timeout | undefined;
  let isOver = false;
  const over = (isStuck: boolean): void => {
    clearTimeout(stuck);
    if (!isOver) line.over(isStuck);
    isOver = true;
  };
  let end: ProcessEnd | undefined;
  const ended = new Promise<ProcessEnd>((resolve) => {
    channel.once('exit', (code: number | null, how?: string) => {
      end = code === null ? { signal: how ?? 'unknown' } : { code };
    });
    channel.once('close', () => {
      over(false);
      resolve(end ?? { lost: line.lostBy() ?? 'the session was closed without an exit code' });
    });
  });
  channel.on('error', () => {});
  channel.stderr.on('error', () => {});
  const stdin = inputOf(channel, line.sock);
  return {
    stdin,
    stdout: channel,
    stderr: channel.stderr,
    ended,
    letGo() {
      if (stuck || isOver) return;
      stdin.destroy();
      channel.end();
      channel.resume();
      channel.stderr.resume();
      channel.close();
      stuck = setTimeout(() => over(true), CLOSE_MS).unref();
    },
  };
}
