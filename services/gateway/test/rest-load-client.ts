/** A process that reads over HTTP as fast as it is answered: `url key connections path...`, until SIGTERM. Prints how often it got which status. */
import { Agent, request } from 'node:http';

const [url = '', key = '', connections = '1', ...paths] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const statuses: Record<string, number> = {};
let isOver = false;
let asked = 0;

const ask = (): Promise<void> =>
  new Promise((resolve) => {
    const path = paths[asked % paths.length] ?? '/';
    asked += 1;
    const headers = key === '' ? {} : { authorization: `Bearer ${key}` };
    const outgoing = request(`${url}${path}`, { agent, headers }, (response) => {
      response.resume().once('close', () => {
        const status = String(response.statusCode);
        statuses[status] = (statuses[status] ?? 0) + 1;
        resolve();
      });
    });
    outgoing.on('error', () => {
      statuses.error = (statuses.error ?? 0) + 1;
      setTimeout(resolve, 50);
    });
    outgoing.end();
  });

const run = async (): Promise<void> => {
  while (!isOver) await ask();
};
process.once('SIGTERM', () => {
  isOver = true;
});
process.stdout.write('begun\n');
await Promise.all(Array.from({ length: Number(connections) }, run));
process.stdout.write(`${JSON.stringify(statuses)}\n`);
process.exit(0);
