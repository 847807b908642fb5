/** As `pacedLine`, for FTP: content comes on connections of its own, whose port the server tells on the first one, in TLS where nobody reads it. */
import { createInterface } from 'node:readline';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { freePorts } from '@khumbu/test-support/free-ports';
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

/** Where lines of `ftpsLine` listen. */
export const LINE_ADDRESS = '127.0.0.2';
const DATA_PORTS = 10;

/** For a server and its data connections, free there and at `LINE_ADDRESS`: the settings of vsftpd for them. */
export async function passivePorts() {
  const [port = 0, ...ports] = await freePorts(1 + DATA_PORTS, ['127.0.0.1', LINE_ADDRESS]);
  return { port, ports, config: [`pasv_min_port=${ports[0]}`, `pasv_max_port=${ports.at(-1)}`] };
}

/** For FTP within TLS: each port of the server has a line at the same port of `LINE_ADDRESS`. */
export async function ftpsLine(
  cleanup: Cleanup,
  serverPort: number,
  dataPorts: readonly number[],
  bytesPerSecond: number,
): Promise<PacedLine> {
  const lines: PacedLine[] = [];
  for (const port of [serverPort, ...dataPorts])
    lines.push(await pacedLine(cleanup, () => port, bytesPerSecond, { host: LINE_ADDRESS, port }));
  return { port: serverPort, received: () => lines.reduce((sum, { received }) => sum + received(), 0) };
}
