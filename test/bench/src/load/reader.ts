/** Reads lists over REST on many connections at once, as fast as they are answered. */
import { Agent, request } from 'node:http';
import { serveCalls } from './remote.js';

export interface ReaderOptions {
  readonly url: string;
  readonly key: string;
  readonly connections: number;
  readonly paths: readonly string[];
}

let isReading = false;
let agent = new Agent();
let readers: Promise<void>[] = [];
const statuses: Record<string, number> = {};

const ask = (agent: Agent, url: string, key: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, headers: { authorization: `Bearer ${key}` } }, (response) => {
      const status = String(response.statusCode);
      statuses[status] = (statuses[status] ?? 0) + 1;
      response.resume().once('close', resolve);
    });
    outgoing.once('error', reject).end();
  });

serveCalls({
  start({ url, key, connections, paths }: ReaderOptions): void {
    isReading = true;
    agent = new Agent({ keepAlive: true, maxSockets: connections });
    const read = async (from: number): Promise<void> => {
      for (let n = from; isReading; n += 1) await ask(agent, `${url}${paths[n % paths.length] ?? '/'}`, key);
    };
    readers = Array.from({ length: connections }, (_, n) => read(n));
  },
  /** How often it got which status so far. */
  async stop(): Promise<Record<string, number>> {
    isReading = false;
    await Promise.all(readers);
    agent.destroy();
    return statuses;
  },
});
