/** The baseline of heartbeats: an mqtt.js client that counts them and does nothing else. */
import { connectMqtt } from './mqtt-client.js';
import { serveCalls } from './remote.js';

let heard = 0;
serveCalls({
  async start({ url, filter }: { readonly url: string; readonly filter: string }) {
    const client = await connectMqtt(url);
    client.on('message', () => {
      heard += 1;
    });
    await client.subscribeAsync(filter, { qos: 0 });
  },
  heard: () => heard,
});
