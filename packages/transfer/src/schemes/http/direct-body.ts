/**
 * The body of an HTTP answer, read past Node's HTTP parser. The head is parsed as ever; where it gives the body's length,
 * what follows is handed out of one buffer that the kernel fills again and again. So a body costs neither an allocation
 * and the garbage collector's work for each 64 KiB, nor a pass through parser and streams: most of the processor time
 * that a download takes in Node. Bodies without a length come through the parser.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { connect as connectTcp, isIP, type OnReadOpts, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

/** How much the kernel may hand over at once; at least so much, where pieces are to be small. */
const BUFFER_BYTES = 1024 * 1024;
const LEAST_BUFFER_BYTES = 16 * 1024;

/** The connection options that a detour changes. The location policy does not apply to a configured proxy. */
function placeOf(detour: Detour | undefined): object {
  if (detour?.kind === 'tunnel') return { socket: detour.socket };
  return detour ? { host: detour.host, port: detour.port, lookup: undefined } : {};
}

/** Bytes of the body by its head; `undefined`: its end must be found by the parser. */
function bodyLength({ headers, statusCode }: IncomingMessage): number | undefined {
  const length = headers['content-length'];
  if (headers['transfer-encoding'] !== undefined || length === undefined || statusCode === 204 || statusCode === 304)
    return undefined;
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/**
 * Where the connection goes, if not to the host of the request: to a proxy that the request is for, by TLS or not, or on
 * through a tunnel that is open.
 */
export type Detour =
  | { readonly kind: 'proxy'; readonly host: string; readonly port: number; readonly isTls: boolean }
  | { readonly kind: 'tunnel'; readonly socket: Socket };

/** One connection for one request and its answer. */
export class DirectBody {
  readonly #isTls: boolean;
  readonly #detour: Detour | undefined;
  readonly #bufferBytes: number;
  #socket: Socket | undefined;
  #response: IncomingMessage | undefined;
  /** Of the body, past the parser; `undefined`: what comes is the parser's. */
  #left: number | undefined;
  #take: ((piece: Buffer) => void) | undefined;
  /** What came before there was a reader. */
  readonly #early: Buffer[] = [];
  /** So many pieces are waited for until reading goes on. */
  #waits = 0;

  /** `pieceBytes`: longest piece that is wanted. */
  constructor(protocol: string, detour?: Detour, pieceBytes: number = BUFFER_BYTES) {
    this.#bufferBytes = Math.min(BUFFER_BYTES, Math.max(LEAST_BUFFER_BYTES, pieceBytes));
    this.#isTls = detour?.kind === 'proxy' ? detour.isTls : protocol === 'https:';
    this.#detour = detour;
  }

  /** For the option of this name of `http.request`. */
  readonly createConnection = (options: RequestOptions): Socket => {
    const detour = this.#detour;
    const host = detour?.kind === 'proxy' ? detour.host : options.host;
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(this.#bufferBytes),
      callback: (length, buffer) => this.#read(buffer.subarray(0, length) as Buffer),
    };
    // Names as `node:https` sets them: an address is no server name (RFC 6066, 3).
    const servername = host === undefined || host === null || isIP(host) !== 0 ? '' : host;
    // `http.request` passes the options that a connection needs.
    const place = { ...options, ...placeOf(detour), onread } as TcpNetConnectOpts;
    const socket = this.#isTls
      ? connectTls({ ...(place as ConnectionOptions), servername, ALPNProtocols: ['http/1.1'] })
      : connectTcp(place);
    this.#socket = socket;
    return socket;
  };

  /** To be called when the request emits `response`, before that returns. */
  begin(response: IncomingMessage): void {
    this.#response = response;
  }

  /**
   * Once. Each piece is valid only while `use` runs; what it throws ends the reading. If it returns a promise, nothing more
   * is read until that resolves. Resolves at the end of the body, rejects with the error of the connection. What is past the
   * end stays unread: `response.destroy()` comes next.
   */
  read(use: (piece: Buffer) => Promise<void> | undefined): Promise<void> {
    const response = this.#response as IncomingMessage;
    return new Promise((resolve, reject) => {
      response.on('error', reject);
      if (response.destroyed) return reject(response.errored ?? new Error('the connection has ended'));
      const end = (error: unknown): void => {
        reject(error as Error);
        response.destroy();
      };
      const guarded = (piece: Buffer): boolean => {
        try {
          const wait = use(piece);
          if (wait) this.#readAfter(wait).catch(end);
          return true;
        } catch (error) {
          end(error);
          return false;
        }
      };
      if (this.#left === undefined) {
        response.on('data', guarded).on('end', resolve);
        return;
      }
      const withHead = response.read() as Buffer | null;
      for (const piece of [...(withHead ? [withHead] : []), ...this.#early.splice(0)]) if (!guarded(piece)) return;
      if (this.#left === 0) return resolve();
      this.#take = (piece) => {
        if (guarded(piece) && this.#left === 0) resolve();
      };
      if (this.#waits === 0) this.#socket?.resume();
    });
  }

  /** What was deciphered already may still come meanwhile. */
  async #readAfter(wait: Promise<void>): Promise<void> {
    this.#waits += 1;
    this.#response?.pause();
    await wait;
    this.#waits -= 1;
    if (this.#waits > 0) return;
    if (this.#left === undefined) this.#response?.resume();
    else this.#socket?.resume();
  }

  /** The result is whether to read on. */
  #read(bytes: Buffer): boolean {
    // TLS goes on with what it has deciphered already, also past the end.
    if (this.#left === 0) return false;
    if (this.#left !== undefined) {
      const piece = bytes.subarray(0, this.#left);
      this.#left -= piece.length;
      if (this.#take) this.#take(piece);
      else this.#early.push(Buffer.from(piece));
      return this.#take !== undefined && this.#left > 0 && this.#waits === 0;
    }
    // The parser keeps pieces of what it gets.
    this.#socket?.emit('data', Buffer.from(bytes));
    const response = this.#response;
    const length = response && bodyLength(response);
    if (response === undefined || length === undefined) return true;
    // What came with the head is with the response already. The rest waits for its reader.
    this.#left = length - response.readableLength;
    return false;
  }
}
