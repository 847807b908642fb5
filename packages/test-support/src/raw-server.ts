/** A TCP server that does with each connection what it is told, and with TLS if it has a certificate. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** Its port. What clients say is read and forgotten: a connection with unread bytes would be reset when it is closed. */
export async function rawServer(
  t: { teardown(clean: () => void): void },
  onSaid: (socket: Socket) => void,
  tls?: TlsOptions,
): Promise<number> {
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => onSaid(socket));
    socket.resume();
  };
  const server = tls ? createTlsServer(tls, onSocket) : createServer(onSocket);
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}
