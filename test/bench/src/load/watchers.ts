/** Browsers on the event stream: connections that stay open, and count what they are told. */
import { Agent, type ClientRequest, get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { serveCalls } from './remote.js';

export interface WatchersOptions {
  readonly url: string;
  readonly key: string;
  readonly count: number;
}

/** What was told last is on its way for a while on a busy machine. */
const LAST_EVENTS_MS = 30_000;
const LOOK_MS = 20;

let streams: ClientRequest[] = [];
let heard: number[] = [];
let agent = new Agent();

/** Resolves once it is open. */
const open = ({ url, key }: WatchersOptions, index: number): Promise<ClientRequest> =>
  new Promise((resolve, reject) => {
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${key}` };
    const stream = get(`${url}/v1/events`, { agent, headers }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`the stream of events: ${response.statusCode}`));
      let rest = '';
      response.setEncoding('latin1').on('data', (text: string) => {
        const lines = `${rest}${text}`.split('\n');
        rest = lines.pop() ?? '';
        heard[index] = (heard[index] ?? 0) + lines.filter((line) => line.startsWith('event: ')).length;
      });
      // It is ended from here.
      response.once('error', () => undefined);
      resolve(stream);
    });
    stream.on('error', reject);
  });

serveCalls({
  async open(options: WatchersOptions): Promise<void> {
    agent = new Agent({ keepAlive: false, maxSockets: options.count });
    heard = Array.from({ length: options.count }, () => 0);
    streams = await Promise.all(heard.map((_none, index) => open(options, index)));
  },
  /** How many events each of them was told. */
  async close(): Promise<number[]> {
    const until = performance.now() + LAST_EVENTS_MS;
    while (heard.includes(0) && performance.now() < until) await pause(LOOK_MS);
    for (const stream of streams) stream.destroy();
    streams = [];
    agent.destroy();
    return heard;
  },
});
