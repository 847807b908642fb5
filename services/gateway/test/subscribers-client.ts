/**
 * A process that follows the events from their beginning: `url key streams events`. Prints `all` when every stream has
 * brought as many events; goes on until it is killed.
 */
import { get } from 'node:http';

const [url = '', key = '', streams = '1', events = '1'] = process.argv.slice(2);

const follow = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'last-event-id': '0-0' };
    const asked = get(`${url}/v1/events`, { headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`answered ${response.statusCode}`));
      let seen = 0;
      let rest = '';
      response.setEncoding('latin1').on('data', (text: string) => {
        const lines = `${rest}${text}`.split('\n');
        rest = lines.pop() ?? '';
        seen += lines.filter((line) => line === 'event: operation').length;
        if (seen >= Number(events)) resolve();
      });
      response.on('error', reject);
    });
    asked.on('error', reject);
  });

process.stdout.write('begun\n');
await Promise.all(Array.from({ length: Number(streams) }, follow));
process.stdout.write('all\n');
