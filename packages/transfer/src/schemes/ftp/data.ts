/** Data connections of FTP, passive: opened to the address of the control connection alone, whatever the server names. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { FTPResponse } from 'basic-ftp';
import { FTPError } from 'basic-ftp';
import type { TransferContext } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import { connectTo } from '../files/connect.js';
import { Incoming } from './incoming.js';
import type { FtpSession } from './session.js';

/** RFC 2428: `229 Entering Extended Passive Mode (|||6446|)`; some write `!` for `|`. RFC 959: `227 ... (h1,h2,h3,h4,p1,p2)`. */
const EPSV = /\(?([!-~])\1\1(\d{1,5})\1/;
const PASV = /(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})/;

/** The port of a reply to EPSV or PASV. The address in it is not looked at: behind NAT it is wrong, and else it may be anybody's. */
export function passivePort({ code, message }: FTPResponse): number | undefined {
  const text = message.slice(4);
  if (code === 229) return within(Number(EPSV.exec(text)?.[2]));
  const [, high, low] = PASV.exec(text) ?? [];
  return code === 227 ? within(Number(high) * 256 + Number(low)) : undefined;
}
const within = (port: number): number | undefined => (port > 0 && port < 65_536 ? port : undefined);

export interface DataLine {
  readonly socket: Socket;
  /** Content that comes; of an upload there is none. */
  readonly incoming: Incoming;
  /** Resolves once content may be sent: TLS stands. */
  readonly ready: Promise<unknown>;
  /** The server must not take what it has for all. */
  reset(): void;
}

function secured(raw: Socket, { ftp }: FtpSession): TLSSocket {
  const control = ftp.socket as TLSSocket;
  // Servers demand that the session is the one of the control connection: else whoever guesses the port could take the data.
  const session = ftp.tlsSessionStore ?? control.getSession();
  const secure = connectTls({ ...ftp.tlsOptions, socket: raw, ...(session ? { session } : {}) });
  // TLS 1.3: a ticket is good for one connection.
  secure.on('session', (ticket) => {
    ftp.tlsSessionStore = ticket;
  });
  return secure;
}

/** Ask for a port and connect to it. Throws `TransferError`, or the signal's reason. */
export async function openData(session: FtpSession, context: TransferContext, signal: AbortSignal): Promise<DataLine> {
  const { leg, address: host } = session;
  let reply = await session.ask('EPSV');
  if (reply.code >= 400 && reply.code !== 421) reply = await session.demand('PASV', 'passive');
  const port = passivePort(reply);
  if (port === undefined)
    throw new TransferError(
      leg,
      leg.direction === 'get' ? 'bad_response' : 'connection',
      'the server names no port for data',
    );
  if (await context.policy.isOwnServer(host, port))
    throw new TransferError(leg, 'location_refused', 'the port for data leads to a server of the depot itself');
  const incoming = new Incoming();
  const { hasTLS } = session.ftp;
  const isRead = leg.direction === 'get' && !hasTLS;
  const onread = isRead ? { onread: incoming.onread(context.limiter?.pieceBytes) } : {};
  let raw: Socket;
  try {
    raw = await connectTo(leg, { host, port, ...onread }, context, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new TransferError(leg, 'data_connection', 'the port for data that the server named cannot be reached', {
      cause: error,
    });
  }
  const socket = hasTLS ? secured(raw, session) : raw;
  for (const one of [raw, socket]) one.on('error', () => {});
  const ready = socket === raw ? Promise.resolve() : once(socket, 'secureConnect', { signal });
  ready.catch(() => {});
  return {
    socket,
    incoming: leg.direction === 'get' ? incoming.from(socket, hasTLS) : incoming,
    ready,
    reset() {
      // In Node a reset of what is just being ended fails, with EINVAL, and its descriptor is never closed: a thread that has one
      // does not end. Whoever has been told of an end before takes what it has for all in any case.
      if (raw.writableEnded || socket.writableEnded) raw.destroy();
      else raw.resetAndDestroy();
      if (socket !== raw) socket.destroy();
    },
  };
}

export interface Transfer {
  /** 1xx: it begins. Else the refusal. Rejects when the control connection is lost. */
  readonly begun: Promise<FTPResponse>;
  /** The last reply. Rejects when the control connection is lost. */
  readonly ended: Promise<FTPResponse>;
}

/** RETR, STOR: a command with one reply at its beginning and one at its end, however long it takes. */
export function beginTransfer({ ftp }: FtpSession, command: string): Transfer {
  let begin: (reply: FTPResponse) => void = () => {};
  const started = new Promise<FTPResponse>((resolve) => {
    begin = resolve;
  });
  const ended: Promise<FTPResponse> = ftp.handle(command, (answer, task) => {
    if (answer instanceof FTPError) task.resolve({ code: answer.code, message: answer.message });
    else if (answer instanceof Error) task.reject(answer);
    else if (answer.code >= 200) task.resolve(answer);
    else {
      // It is quiet here while content flows.
      ftp.socket.setTimeout(0);
      begin(answer);
    }
  });
  const begun = Promise.race([started, ended]);
  for (const one of [begun, ended]) one.catch(() => {});
  return { begun, ended };
}
