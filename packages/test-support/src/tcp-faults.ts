/**
 * A TCP proxy that counts what a server sends, and cuts or holds it: between a client and a real server whose ports it stands for
 * at another loopback address. Ports are the same at both, as FTP names them to its clients.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Where the proxy listens; its servers listen at 127.0.0.1. */
export const PROXY_ADDRESS = '127.0.0.2';

interface Fault {
  readonly kind: 'cut' | 'stall';
  readonly direction: 'down' | 'up';
  /** Bytes of content in this direction that still pass. */
  left: number;
}

export class TcpFaults {
  readonly #servers: Server[] = [];
  readonly #open = new Set<Socket>();
  readonly #clients = new WeakSet<Socket>();
  #sent = 0;
  #fault: Fault | undefined;

  /** `data`: ports whose bytes are content. Others are passed on, and end with a cut. */
  static async start(ports: {
    readonly data: readonly number[];
    readonly control?: readonly number[];
  }): Promise<TcpFaults> {
    const faults = new TcpFaults();
    try {
      for (const port of ports.data) await faults.#listen(port, true);
      for (const port of ports.control ?? []) await faults.#listen(port, false);
      return faults;
    } catch (error) {
      faults.stop();
      throw error;
    }
  }

  /** Content bytes that have gone to clients. */
  get sent(): number {
    return this.#sent;
  }

  /** After so many content bytes all connections end, once. */
  cutAfter(bytes: number, direction: Fault['direction'] = 'down'): void {
    this.#fault = { kind: 'cut', direction, left: bytes };
  }

  /** After so many content bytes nothing passes any more in this connection, once. */
  stallAfter(bytes: number, direction: Fault['direction'] = 'down'): void {
    this.#fault = { kind: 'stall', direction, left: bytes };
  }

  stop(): void {
    for (const server of this.#servers) server.close();
    this.#endAll();
  }

  #endAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async #listen(port: number, isData: boolean): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#clients.add(client);
      const onward = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      for (const [one, other] of [
        [client, onward],
        [onward, client],
      ] as const) {
        this.#open.add(one);
        one.on('error', () => other.destroy());
        one.once('close', () => {
          this.#open.delete(one);
          other.destroySoon();
        });
        one.on('end', () => other.end());
        one.on('data', (piece) => this.#pass(piece, one, other, isData ? (one === onward ? 'down' : 'up') : undefined));
        other.on('drain', () => one.resume());
      }
    });
    server.listen(port, PROXY_ADDRESS);
    await once(server, 'listening');
    this.#servers.push(server);
  }

  #pass(piece: Buffer, from: Socket, to: Socket, direction: Fault['direction'] | undefined): void {
    const fault = this.#fault?.direction === direction ? this.#fault : undefined;
    const passes = fault ? piece.subarray(0, fault.left) : piece;
    if (direction === 'down') this.#sent += passes.length;
    if (passes.length > 0 && !to.write(passes)) from.pause();
    if (!fault) return;
    fault.left -= passes.length;
    if (fault.left > 0) return;
    this.#fault = undefined;
    for (const name of ['data', 'end']) from.removeAllListeners(name);
    // It would let the other one go on.
    to.removeAllListeners('drain');
    from.pause();
    if (fault.kind === 'cut') this.#cut(fault.direction);
  }

  /** Whoever receives gets what has passed, and an end: a reset would take it away again. */
  #cut(direction: Fault['direction']): void {
    for (const socket of this.#open) {
      for (const name of ['data', 'end', 'close', 'drain']) socket.removeAllListeners(name);
      socket.once('close', () => this.#open.delete(socket));
      const receives = this.#clients.has(socket) === (direction === 'down');
      if (receives) socket.end().resume();
      else socket.destroy();
    }
  }
}
