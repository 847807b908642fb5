/** HTTP servers that listen, and end. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** Connections of each server; node itself knows of none that has not spoken yet. */
const connections = new WeakMap<Server | TlsServer, Set<Socket>>();

function follow(server: Server | TlsServer): void {
  const open = connections.get(server) ?? new Set<Socket>();
  if (!connections.has(server))
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    });
  connections.set(server, open);
}

/** Resolves with the port when it listens; port 0 is a free one. Rejects with what keeps it from that. */
export async function listen(server: Server | TlsServer, port: number, host = '127.0.0.1'): Promise<number> {
  follow(server);
  server.listen(port, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Close it and every connection it has. Safe to repeat. */
export const closeNow = (server: Server | TlsServer): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    for (const socket of connections.get(server) ?? []) socket.destroy();
  });
