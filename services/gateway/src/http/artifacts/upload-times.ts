/**
 * An upload of gigabytes takes longer than a request may (`HTTP_REQUEST_TIMEOUT_S`), for which Node.js has one limit for all
 * requests of a server. It asks before it ends a connection (`clientError`, with `ERR_HTTP_REQUEST_TIMEOUT`), once for a request:
 * those that are uploads by then, known callers and few of them, may go on. One that stands still ends by the time limit of its socket.
 */
import type { Socket } from 'node:net';

export type UploadTimes = ReturnType<typeof createUploadTimes>;

export function createUploadTimes() {
  const uploading = new WeakMap<Socket, number>();
  return {
    /** Returns what ends it. */
    begin(socket: Socket): () => void {
      uploading.set(socket, (uploading.get(socket) ?? 0) + 1);
      return () => {
        const left = (uploading.get(socket) ?? 1) - 1;
        if (left > 0) uploading.set(socket, left);
        else uploading.delete(socket);
      };
    },
    /** Whether this error of the server is to be ignored. */
    mayGoOn: ({ code }: { readonly code?: string }, socket: Socket): boolean =>
      code === 'ERR_HTTP_REQUEST_TIMEOUT' && uploading.has(socket),
  };
}
