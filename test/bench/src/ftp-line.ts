/** As `pacedLine`, for FTP: content comes on connections of its own, whose port the server tells on the first one. */
import { createInterface } from 'node:readline';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { openLine, type PacedLine, pacedLine } from './paced-line.js';

/** RFC 2428, 3. */
const EXTENDED_PASSIVE = /^229 .*\(\|\|\|(\d+)\|\)/;

export async function ftpLine(cleanup: Cleanup, serverPort: number, bytesPerSecond: number): Promise<PacedLine> {
  const content: PacedLine[] = [];
  /** Bytes of the control connections. */
  let replies = 0;
  const port = await openLine(
    cleanup,
    () => serverPort,
    async (server, client) => {
      for await (const reply of createInterface({ input: server, crlfDelay: Number.POSITIVE_INFINITY })) {
        replies += reply.length + 2;
        const at = EXTENDED_PASSIVE.exec(reply)?.[1];
        if (at === undefined) client.write(`${reply}\r\n`);
        else {
          const line = await pacedLine(cleanup, () => Number(at), bytesPerSecond);
          content.push(line);
          client.write(`229 Entering Extended Passive Mode (|||${line.port}|)\r\n`);
        }
      }
      client.end();
    },
  );
  return { port, received: () => content.reduce((sum, { received }) => sum + received(), replies) };
}
