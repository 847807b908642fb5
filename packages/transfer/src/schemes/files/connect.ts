/** TCP connections to file servers: by the addresses that the location policy allows, and no others. */
import { once } from 'node:events';
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { type Leg, silenceOf, TransferError } from '../../transfer-error.js';

/** Connected within the stall limit. Throws `TransferError`, or the signal's reason. */
export async function connectTo(
  leg: Leg,
  { host, port, onread }: { readonly host: string; readonly port: number; readonly onread?: OnReadOpts },
  { policy, stallMs }: TransferContext,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const deadline = deadlineAfter(stallMs, signal);
  // For a host that is an address no lookup is made: that it is allowed was judged before.
  const socket = connect({ host, port, lookup: policy.lookupFor(port), noDelay: true, ...(onread ? { onread } : {}) });
  try {
    await once(socket, 'connect', { signal: deadline.signal });
    return socket;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    signal.throwIfAborted();
    if (deadline.signal.aborted) throw new TransferError(leg, silenceOf(leg), `no connection in ${stallMs} ms`);
    throw networkFailure(leg, error);
  } finally {
    deadline.clear();
  }
}
