/** A line to a server on loopback that can be cut and go silent, either way: a plain TCP relay that counts what it carries. */
import { connect, createServer, type Socket } from 'node:net';

type Way = 'down' | 'up';

interface Fault {
  readonly way: Way;
  /** So many bytes of one connection pass before. */
  readonly after: number;
  readonly kind: 'cut' | 'stall';
  times: number;
}

/** `down`: from the server to the client. */
export async function startFaultyLine(toPort: number) {
  let fault: Fault | undefined;
  const carried = { down: 0, up: 0 };

  /** Pass bytes on, as far as the fault lets them. */
  const relay = (from: Socket, to: Socket, way: Way): void => {
    let passed = 0;
    from.on('data', (bytes: Buffer) => {
      const due = fault?.way === way && fault.times > 0 && passed + bytes.length > fault.after ? fault : undefined;
      const piece = due ? bytes.subarray(0, Math.max(0, due.after - passed)) : bytes;
      passed += piece.length;
      carried[way] += piece.length;
      const end = (): void => {
        if (!due) return;
        due.times -= 1;
        from.pause();
        if (due.kind === 'cut') for (const one of [from, to]) one.destroy();
      };
      if (piece.length === 0) return end();
      if (!to.write(piece, end) && !due) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  };

  const server = createServer((client) => {
    const upstream = connect(toPort, '127.0.0.1');
    relay(client, upstream, 'up');
    relay(upstream, client, 'down');
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;

  return {
    port,
    /** Bytes it has carried. */
    carried: (way: Way): number => carried[way],
    /** The next `times` connections that come so far are cut there. */
    cut(way: Way, after: number, times = 1): void {
      fault = { way, after, kind: 'cut', times };
    },
    /** As `cut`: nothing more comes, and nothing is ended. */
    stall(way: Way, after: number, times = 1): void {
      fault = { way, after, kind: 'stall', times };
    },
    heal(): void {
      fault = undefined;
    },
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
