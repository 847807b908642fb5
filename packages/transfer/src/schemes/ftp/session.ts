/** A control connection of FTP (RFC 959), logged in: plain, by AUTH TLS (RFC 4217), or TLS from its first byte on. */
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { FileLocation } from '@khumbu/shared/locations/file-path';
import { deadlineAfter, unlessAborted } from '@khumbu/shared/runtime/abort';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { FTPContext, FTPError, type FTPResponse } from 'basic-ftp';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { type Leg, silenceOf, TransferError } from '../../transfer-error.js';
import { connectTo } from '../files/connect.js';
import { faultOfReply, type Phase, replyText } from './replies.js';

/** RFC 959: who has no user on the server. */
const ANONYMOUS = { username: 'anonymous', password: 'guest' };
/** A reply that comes line by line is waited for, but not for ever: so many times the stall limit. */
const LONGEST_REPLY_STALLS = 10;
const EXPLICIT_PORT = 21;
const IMPLICIT_PORT = 990;

export interface FtpSession {
  readonly leg: Leg;
  readonly ftp: FTPContext;
  /** The address that answers, and no other, is connected to for data. */
  readonly address: string;
  /** One command, one reply: refusals are replies as well. Throws `TransferError` when there is none, or the signal's reason. */
  ask(command: string): Promise<FTPResponse>;
  /** As `ask`; throws for a refusal. */
  demand(command: string, phase: Phase): Promise<FTPResponse>;
  /** A reply that is on its way, once it is whole. Throws as `ask`; one that never becomes whole ends the session. */
  whole(answered: Promise<FTPResponse>): Promise<FTPResponse>;
  /** A reply for people: the server may quote what it was sent in confidence. */
  say(reply: FTPResponse): string;
  /** What breaks the control connection, and what a reply says, as a `TransferError`. */
  fault(error: unknown): unknown;
  /** Ends everything at once. Safe to repeat. */
  close(): void;
}

/** How the scheme and the port of a location say that TLS begins. */
function tlsBegins({ scheme, port }: FileLocation): 'never' | 'at once' | 'by command' | 'at once, or by command' {
  if (scheme === 'ftp') return 'never';
  if (port === EXPLICIT_PORT) return 'by command';
  return port === IMPLICIT_PORT ? 'at once' : 'at once, or by command';
}

/** TLS on a connection that stands, within the stall limit. */
async function encrypted(
  leg: Leg,
  socket: Socket,
  options: ConnectionOptions,
  stallMs: number,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const deadline = deadlineAfter(stallMs, signal);
  const secure = connectTls({ ...options, socket });
  try {
    await once(secure, 'secureConnect', { signal: deadline.signal });
    return secure;
  } catch (error) {
    secure.on('error', () => {});
    secure.destroy();
    socket.destroy();
    signal.throwIfAborted();
    if (!deadline.signal.aborted) throw error;
    throw new TransferError(leg, silenceOf(leg), `the server does not begin TLS in ${stallMs} ms`, { cause: error });
  } finally {
    deadline.clear();
  }
}

/** A server that greets in plain text where TLS is begun. */
const speaksPlain = (error: unknown): boolean => hasCode(error, 'ERR_SSL_WRONG_VERSION_NUMBER', 'EPROTO');

class Session implements FtpSession {
  readonly leg: Leg;
  readonly ftp: FTPContext;
  readonly #signal: AbortSignal;
  readonly #secrets: readonly string[];
  #address = '';

  constructor(leg: Leg, location: FileLocation, { stallMs }: TransferContext, signal: AbortSignal) {
    this.leg = leg;
    this.ftp = new FTPContext(stallMs);
    this.#signal = signal;
    const { username, password } = location.credentials ?? ANONYMOUS;
    this.#secrets = [password, username].filter((text) => text.length > 2);
  }

  get address(): string {
    return this.#address;
  }

  say(reply: FTPResponse): string {
    return replyText(reply, this.#secrets);
  }

  fault(error: unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    if (error instanceof TransferError) return error;
    if (error instanceof Error && error.message.startsWith('Timeout ('))
      return new TransferError(this.leg, silenceOf(this.leg), `the server said nothing for ${this.ftp.timeout} ms`, {
        cause: error,
      });
    return networkFailure(this.leg, error);
  }

  async ask(command: string): Promise<FTPResponse> {
    return this.#reply(command);
  }

  async demand(command: string, phase: Phase): Promise<FTPResponse> {
    const reply = await this.#reply(command);
    if (reply.code >= 400) throw faultOfReply(this.leg, reply, phase, this.say(reply));
    return reply;
  }

  /** `undefined`: the greeting. */
  async #reply(command: string | undefined): Promise<FTPResponse> {
    this.#signal.throwIfAborted();
    const answered: Promise<FTPResponse> = this.ftp.handle(command, (answer, task) => {
      if (answer instanceof FTPError) task.resolve({ code: answer.code, message: answer.message });
      else if (answer instanceof Error) task.reject(answer);
      // 120: ready in some minutes; another reply follows.
      else if (answer.code >= 200) task.resolve(answer);
    });
    return this.whole(answered);
  }

  async whole(answered: Promise<FTPResponse>): Promise<FTPResponse> {
    const longestMs = LONGEST_REPLY_STALLS * this.ftp.timeout;
    const deadline = deadlineAfter(longestMs, this.#signal);
    try {
      return await unlessAborted(answered, deadline.signal);
    } catch (error) {
      if (this.#signal.aborted || !deadline.signal.aborted) throw this.fault(error);
      this.close();
      throw new TransferError(this.leg, silenceOf(this.leg), `the server has not ended its reply in ${longestMs} ms`, {
        cause: error,
      });
    } finally {
      deadline.clear();
    }
  }

  /** Take a socket that is connected, and read its greeting. */
  async greet(socket: Socket, tls?: ConnectionOptions): Promise<void> {
    // basic-ftp would wait for the greeting of one that is closed, without a limit.
    if (socket.destroyed) throw networkFailure(this.leg, new Error('the connection was closed'));
    this.ftp.socket = socket;
    if (tls) this.ftp.tlsOptions = tls;
    this.#address = socket.remoteAddress ?? '';
    const greeting = await this.#reply(undefined);
    if (greeting.code >= 300) throw faultOfReply(this.leg, greeting, 'greeting', this.say(greeting));
  }

  async secure(tls: ConnectionOptions): Promise<void> {
    const reply = await this.#reply('AUTH TLS');
    if (reply.code >= 300)
      throw new TransferError(
        this.leg,
        this.leg.direction === 'get' ? 'tls' : 'connection',
        `the server does not offer TLS: ${this.say(reply)}`,
      );
    try {
      this.ftp.socket = await encrypted(this.leg, this.ftp.socket, tls, this.ftp.timeout, this.#signal);
    } catch (error) {
      throw this.fault(error);
    }
    this.ftp.tlsOptions = tls;
  }

  async login(location: FileLocation): Promise<void> {
    const { username, password } = location.credentials ?? ANONYMOUS;
    // Names and passwords may be of any letters; not every server knows the command.
    await this.#reply('OPTS UTF8 ON');
    const asked = await this.#reply(`USER ${username === '' ? ANONYMOUS.username : username}`);
    const reply = asked.code === 331 ? await this.#reply(`PASS ${password}`) : asked;
    if (reply.code >= 300) throw faultOfReply(this.leg, reply, 'login', this.say(reply));
    await this.demand('TYPE I', 'setup');
    if (!this.ftp.hasTLS) return;
    await this.#reply('PBSZ 0');
    await this.demand('PROT P', 'setup');
  }

  close(): void {
    this.ftp.close();
  }
}

/**
 * Connect, log in, and go to the folder of the location. Throws `TransferError`, or the signal's reason. Credentials are sent
 * only once TLS stands, where the scheme asks for it.
 */
export async function openSession(
  leg: Leg,
  location: FileLocation,
  context: TransferContext,
  signal: AbortSignal,
): Promise<FtpSession> {
  const session = new Session(leg, location, context, signal);
  // The host is what the certificate is of, and what a session that is resumed must be of. An address is no SNI.
  const { host } = location;
  const tls: ConnectionOptions = {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(context.ca === undefined ? {} : { ca: [context.ca].flat() }),
  };
  const begins = tlsBegins(location);
  try {
    const socket = await connectTo(leg, location, context, signal);
    if (begins === 'never' || begins === 'by command') {
      await session.greet(socket);
      if (begins === 'by command') await session.secure(tls);
    } else {
      try {
        await session.greet(await encrypted(leg, socket, tls, context.stallMs, signal), tls);
      } catch (error) {
        if (begins === 'at once' || !speaksPlain(error)) throw error;
        await session.greet(await connectTo(leg, location, context, signal));
        await session.secure(tls);
      }
    }
    await session.login(location);
    const folder = location.path?.folder ?? '';
    if (folder !== '') await session.demand(`CWD ${folder}`, 'folder');
    return session;
  } catch (error) {
    session.close();
    throw session.fault(error);
  }
}
