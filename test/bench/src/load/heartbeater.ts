/**
 * Many stations with a heartbeat each second, evenly over it, and how punctually each gets its checks. Stations
 * stay once they have begun; a hundred connections carry them.
 */
import { connectRaw, type RawMqtt, topicBytes } from './raw-mqtt.js';
import { serveCalls } from './remote.js';

const CONNECTIONS = 100;
const PERIOD_MS = 1000;
const TICK_MS = 5;
/** A third of the five seconds that EVerest tolerates. */
const CHECK_MS = 5000 / 3;

export interface BeaterOptions {
  readonly url: string;
  readonly prefix: string;
  /** Stations are called by it and a number. */
  readonly group: string;
}

export interface Window {
  readonly seconds: number;
  /** Heartbeats the broker took in that time. */
  readonly sent: number;
  /** How late each communication check came, in ms. */
  readonly lateness: readonly number[];
  /** Stations that received nothing in this time. */
  readonly untold: number;
}

interface Station {
  readonly topic: Buffer;
  readonly connection: RawMqtt;
  beats: number;
  checkedAt: number | undefined;
  /** It began, or got its check, in this window. */
  told: boolean;
}

let prefix = '';
let group = '';
const connections: RawMqtt[] = [];
const stations: Station[] = [];
let lateness: number[] = [];

const heard = (topic: string): void => {
  const name = topic.split('/').at(-3) ?? '';
  const station = stations[Number(name.slice(name.indexOf('-') + 1))];
  if (!station) return;
  const now = performance.now();
  if (station.checkedAt !== undefined) lateness.push(Math.max(0, now - station.checkedAt - CHECK_MS));
  station.checkedAt = now;
  station.told = true;
};

const beat = (station: Station): void =>
  station.connection.publish(station.topic, Buffer.from(String(station.beats++)));

let cursor = 0;
let owed = 0;
let lastTick = 0;
function tick(): void {
  const now = performance.now();
  owed += ((now - lastTick) / PERIOD_MS) * stations.length;
  lastTick = now;
  for (; owed >= 1 && stations.length > 0; owed -= 1) {
    cursor = (cursor + 1) % stations.length;
    beat(stations[cursor] as Station);
  }
  for (const connection of connections) connection.flush();
}

const completed = (): number => connections.reduce((sum, connection) => sum + connection.completed(), 0);

serveCalls({
  async start(options: BeaterOptions) {
    ({ prefix, group } = options);
    for (let index = 0; index < CONNECTIONS; index++)
      connections.push(await connectRaw(options.url, `${prefix}beater-${index}`, heard));
    await connections[0]?.subscribe(`${prefix}everest_api/1/system/+/m2e/communication_check`);
    lastTick = performance.now();
    setInterval(tick, TICK_MS);
  },

  /** So many stations from now on. */
  grow(count: number): void {
    while (stations.length < count) {
      const index = stations.length;
      stations.push({
        topic: topicBytes(`${prefix}everest_api/1/system/${group}-${index}/e2m/heartbeat`),
        connection: connections[index % CONNECTIONS] as RawMqtt,
        beats: 0,
        checkedAt: undefined,
        told: false,
      });
    }
  },

  /** No more heartbeats. */
  shrink(): void {
    stations.length = 0;
    cursor = 0;
  },

  async watch(seconds: number): Promise<Window> {
    for (const station of stations) station.told = false;
    lateness = [];
    const before = completed();
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return {
      seconds: (performance.now() - began) / 1000,
      sent: completed() - before,
      lateness,
      untold: stations.filter(({ told }) => !told).length,
    };
  },
});
