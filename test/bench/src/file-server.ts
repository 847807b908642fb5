/**
 * As a process: GET of any path answers with one file, whose bytes are counted; with 304 to a client that has it, as file servers
 * do. `GET /sent` answers how many. Below `/different/` each path is other content: the file with the path written over its
 * beginning.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const file = process.argv[2] ?? '';
const { size, mtimeMs } = statSync(file);
const etag = `"${size}-${mtimeMs}"`;
let sent = 0;

const server = createServer((request, response) => {
  if (request.url === '/sent') {
    response.end(String(sent));
    return;
  }
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end();
    return;
  }
  const beginning = request.url?.startsWith('/different/') ? request.url : '';
  response.writeHead(200, { 'content-length': size, etag });
  response.write(beginning);
  sent += beginning.length;
  const body = createReadStream(file, { highWaterMark: 1024 * 1024, start: beginning.length });
  body.on('data', (piece) => {
    sent += piece.length;
  });
  body.pipe(response);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
