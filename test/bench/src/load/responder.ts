/**
 * The baseline of the reply figures: what answers at once and stores nothing. It subscribes and replies with the same
 * qualities of service as the gateway, below a prefix of its own.
 */
import type { MqttClient } from 'mqtt';
import { connectMqtt } from './mqtt-client.js';
import { serveCalls } from './remote.js';

export interface ResponderOptions {
  readonly url: string;
  readonly prefix: string;
  /** The reply to each request, by topic leaf. */
  readonly replies: Readonly<Record<string, unknown>>;
}

let client: MqttClient;
serveCalls({
  async start({ url, prefix, replies }: ResponderOptions) {
    client = await connectMqtt(url);
    client.on('message', (topic, payload) => {
      const leaf = topic.slice(topic.lastIndexOf('/') + 1);
      const { headers } = JSON.parse(payload.toString()) as { headers: { replyTo: string } };
      client.publish(`${prefix}${headers.replyTo}`, JSON.stringify(replies[leaf]), { qos: 1 });
    });
    const filters = Object.keys(replies).map((leaf) => `${prefix}everest_api/1/system/+/e2m/${leaf}`);
    await client.subscribeAsync(filters, { qos: 1 });
  },
});
