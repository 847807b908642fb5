/** Many stations update at once: asked by REST, watched as EVerest of each station hears it. */
import { connectAsync } from 'mqtt';

const WAVE_MS = 240_000;
const ASK_AT_ONCE = 16;
const STATUSES = 'everest_api/1/system/+/m2e/firmware_update_status';

/** As the simulator names its stations. */
export const chargerNames = (count: number, first = 1): string[] =>
  Array.from({ length: count }, (_, index) => `charger_${first + index}`);

export interface FleetWatch {
  /** Milliseconds of `performance.now()` when the last of them had heard it; rejects when one has failed. */
  readonly all: Promise<number>;
  end(): void;
}

/** Resolves when it listens; its `all` when each of these stations has heard these statuses, in this order. */
export async function watchFleet(
  mqttUrl: string,
  stations: readonly string[],
  statuses: readonly string[],
): Promise<FleetWatch> {
  const mqtt = await connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
  const waiting = new Map(stations.map((station) => [station, [...statuses]]));
  const all = new Promise<number>((resolve, reject) => {
    const last = statuses.at(-1);
    const late = (): void => reject(new Error(`${waiting.size} of ${stations.length} stations are not ${last}`));
    const timer = setTimeout(late, WAVE_MS);
    mqtt.on('close', () => clearTimeout(timer));
    mqtt.on('message', (topic, payload) => {
      const station = topic.split('/')[3] ?? '';
      const left = waiting.get(station);
      if (!left) return;
      const { firmware_update_status: status } = JSON.parse(payload.toString()) as { firmware_update_status: string };
      if (status === left[0]) left.shift();
      else if (/Failed|Invalid/.test(status)) reject(new Error(`${station}: ${status}`));
      if (left.length === 0) waiting.delete(station);
      if (waiting.size === 0) resolve(performance.now());
    });
  });
  all.catch(() => undefined);
  await mqtt.subscribeAsync(STATUSES, { qos: 0 });
  return { all, end: () => void mqtt.end(true) };
}

export const INSTALLED = ['Installing', 'Installed'] as const;

/** Ask for an update of each of these stations, sixteen requests at a time. */
export async function askForUpdates(
  post: (path: string, body: object) => Promise<unknown>,
  stations: readonly string[],
  bodyOf: (station: string) => object,
): Promise<void> {
  const left = [...stations];
  const ask = async (): Promise<void> => {
    for (let station = left.shift(); station !== undefined; station = left.shift()) {
      await post(`/stations/${station}/firmware-updates`, bodyOf(station));
    }
  };
  await Promise.all(Array.from({ length: ASK_AT_ONCE }, ask));
}
