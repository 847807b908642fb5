/** Whether a daemon of SWUpdate has anything to do, by its control socket. */
import { connect } from 'node:net';

const MAGIC = 0x14052001;
const [GET_STATUS, ACK] = [3, 1];
/** Of `ipc_message` in 2022.12; what follows its three numbers is a text, empty once no line of its log is left to be taken. */
const MESSAGE_BYTES = 3120;
const TEXT_AT = 20;
const ANSWER_MS = 10_000;

function ask(socketPath: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const pieces: Buffer[] = [];
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('SWUpdate does not answer')));
    socket.on('data', (piece) => pieces.push(piece));
    socket.once('error', reject);
    socket.once('close', () => resolve(Buffer.concat(pieces)));
    const request = Buffer.alloc(MESSAGE_BYTES);
    request.writeInt32LE(MAGIC, 0);
    request.writeInt32LE(GET_STATUS, 4);
    socket.write(request);
  });
}

/** One answer takes one line off its log, so it is asked again and again. False also where nobody answers. */
export async function isIdle(socketPath: string): Promise<boolean> {
  const answer = await ask(socketPath).catch(() => Buffer.alloc(0));
  if (answer.length <= TEXT_AT || answer.readInt32LE(4) !== ACK) return false;
  return answer[TEXT_AT] === 0 && answer.readInt32LE(8) === 0;
}
