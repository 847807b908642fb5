/** What one would write in an hour: answers every request at once, with nothing behind it. Arguments: broker URL, prefix. */
import { connectAsync } from 'mqtt';

const [url = '', prefix = ''] = process.argv.slice(2);
const REPLIES: Readonly<Record<string, string>> = { get_boot_reason: '"PowerUp"', is_reset_allowed: 'true' };
const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
client.on('message', (topic, payload) => {
  try {
    const { headers } = JSON.parse(payload.toString()) as { headers?: { replyTo?: string } };
    const leaf = topic.slice(topic.lastIndexOf('/') + 1);
    if (headers?.replyTo) client.publish(`${prefix}${headers.replyTo}`, REPLIES[leaf] ?? '"Rejected"', { qos: 1 });
  } catch {
    // Garbage is not answered.
  }
});
await client.subscribeAsync(`${prefix}everest_api/1/system/+/e2m/+`, { qos: 1 });
process.stdout.write('ready\n');
