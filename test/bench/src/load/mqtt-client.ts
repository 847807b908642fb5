/** Connections of the load: clean, without Nagle's delay. */
import type { Socket } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';

export async function connectMqtt(url: string): Promise<MqttClient> {
  const client = await connectAsync(url, { protocolVersion: 5, clean: true, reconnectPeriod: 0 });
  (client.stream as Socket).setNoDelay(true);
  return client;
}
