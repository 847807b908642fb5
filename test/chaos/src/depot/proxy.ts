/** A TCP line between one client and one server that can be cut, refused, slowed and mended. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface TcpProxy {
  /** Where the client connects; the same for as long as the proxy lives. */
  readonly port: number;
  /** Break every connection and refuse new ones (ECONNREFUSED), until `mend`. Safe to repeat. */
  refuse(): Promise<void>;
  /** Listen again, at full speed. Safe to repeat. */
  mend(): Promise<void>;
  /** Break the connections of now; new ones are taken. */
  cut(): void;
  /** Break the connections of now once so many more bytes have passed, in whatever piece the last of them is. */
  cutAfter(bytes: number): void;
  /** Take new connections and answer nothing on them, until `mend`. */
  mute(): void;
  /** Let nothing pass either way, and break nothing, until `mend`. */
  hold(): void;
  /** How many clients are connected. */
  connections(): number;
  /** Let no more than so many bytes a second pass each way on each connection; `undefined` ends it. */
  slow(bytesPerSecond: number | undefined): void;
  /** Hold every piece back for so many milliseconds each way, one after the other, as a slow disk would; 0 ends it. */
  lag(milliseconds: number): void;
  /** Bytes that passed from the client to the server and back. */
  readonly bytes: { readonly up: number; readonly down: number };
  close(): Promise<void>;
}

/** Until it takes more, or never will. */
const writable = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });

/** Open a proxy to a server on loopback. */
export async function openProxy(serverPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const bytes = { up: 0, down: 0 };
  let limit: number | undefined;
  let lagMs = 0;
  let cutIn: number | undefined;
  let isMute = false;
  let held: { readonly over: Promise<void>; readonly end: () => void } | undefined;
  let clients = 0;
  let server: Server | undefined;

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    // Either end may break at any time; that is what a proxy is for here.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };

  async function pump(from: Socket, to: Socket, direction: 'up' | 'down'): Promise<void> {
    try {
      for await (const chunk of from) {
        const piece = chunk as Buffer;
        bytes[direction] += piece.length;
        if (limit) await delay((piece.length / limit) * 1000);
        if (lagMs > 0) await delay(lagMs);
        while (held) await held.over;
        if (cutIn !== undefined && piece.length >= cutIn) {
          to.write(piece.subarray(0, cutIn));
          cut();
          return;
        }
        if (cutIn !== undefined) cutIn -= piece.length;
        if (!to.write(piece)) await writable(to);
      }
      to.end();
    } catch {
      to.destroy();
    }
  }

  const take = (client: Socket): void => {
    keep(client);
    clients += 1;
    client.once('close', () => {
      clients -= 1;
    });
    if (isMute) return;
    const upstream = connect({ port: serverPort, host: '127.0.0.1' });
    keep(upstream);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    void pump(client, upstream, 'up');
    void pump(upstream, client, 'down');
  };

  const listen = (port: number): Promise<Server> =>
    new Promise((resolve, reject) => {
      const listening = createServer(take);
      listening.once('error', reject);
      listening.listen(port, '127.0.0.1', () => {
        listening.off('error', reject);
        resolve(listening);
      });
    });

  const release = (): void => {
    held?.end();
    held = undefined;
  };
  const cut = (): void => {
    cutIn = undefined;
    for (const socket of sockets) socket.destroy();
  };
  async function refuse(): Promise<void> {
    const closing = server;
    server = undefined;
    const closed = closing && new Promise<void>((resolve) => closing.close(() => resolve()));
    cut();
    await closed;
  }

  server = await listen(0);
  const { port } = server.address() as { port: number };
  return {
    port,
    bytes,
    refuse,
    async mend() {
      limit = undefined;
      lagMs = 0;
      cutIn = undefined;
      isMute = false;
      release();
      server ??= await listen(port);
    },
    cut,
    cutAfter(more) {
      cutIn = more;
    },
    mute() {
      isMute = true;
    },
    hold() {
      if (held) return;
      let end = (): void => {};
      const over = new Promise<void>((resolve) => {
        end = resolve;
      });
      held = { over, end };
    },
    connections: () => clients,
    slow(bytesPerSecond) {
      limit = bytesPerSecond;
    },
    lag(milliseconds) {
      lagMs = milliseconds;
    },
    close() {
      release();
      return refuse();
    },
  };
}
