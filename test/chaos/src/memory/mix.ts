/** What the stations are asked for, and how often each: a table. Each entry does one thing to its end. */
import { awaitUntil } from '@khumbu/test-support/events';
import type { Random } from '../random.js';
import type { ManyStations } from './many-stations.js';

const RESET_MS = 60_000;

export interface Scene {
  readonly stations: ManyStations;
  readonly random: Random;
  /** Of images that are served; few, so that the depot fetches each once. */
  readonly images: readonly string[];
  /** Below it every location is answered 404. */
  readonly nowhere: string;
  /** Takes archives over HTTP. */
  readonly sink: string;
  readonly nextId: () => number;
  /** The station's last reset, and whether it is over. */
  readonly lastReset: (station: string) => Promise<{ readonly id: string | null; readonly over: boolean }>;
}

interface Task {
  readonly name: string;
  /** How many operations it stands for. */
  readonly operations: number;
  /** Out of a hundred. */
  readonly weight: number;
  /** Throws, or resolves with what was received instead of what it should have been. */
  readonly run: (scene: Scene, station: string) => Promise<string | undefined>;
}

const expectAnswer = (answer: unknown, ...wanted: unknown[]): string | undefined =>
  wanted.includes(answer) ? undefined : `answered ${JSON.stringify(answer)}`;

/** Ask for it, wait for its end. */
async function toItsEnd(
  { stations, nextId }: Scene,
  station: string,
  leaf: 'update_firmware' | 'upload_logs',
  request: Readonly<Record<string, unknown>>,
  wanted: string,
): Promise<string | undefined> {
  const requestId = nextId();
  const end = stations.final(station, requestId);
  const reply = await stations.request(station, leaf, { request_id: requestId, retries: 1, ...request });
  const status = (reply as { upload_logs_status?: string } | undefined)?.upload_logs_status ?? reply;
  if (status !== 'Accepted' && status !== 'AcceptedCanceled') return `answered ${JSON.stringify(reply)}`;
  const heard = await end();
  return heard === wanted ? undefined : `ended with ${heard}`;
}

const nowhere = ({ nowhere: base, nextId }: Scene): string => `${base}/${nextId()}`;

const TASKS: readonly Task[] = [
  {
    name: 'system time',
    operations: 1,
    weight: 22,
    run: async ({ stations }, station) =>
      expectAnswer(await stations.request(station, 'set_system_time', new Date().toISOString()), true),
  },
  {
    name: 'boot reason',
    operations: 1,
    weight: 8,
    run: async ({ stations }, station) => {
      const reason = await stations.request(station, 'get_boot_reason');
      return typeof reason === 'string' ? undefined : `answered ${JSON.stringify(reason)}`;
    },
  },
  {
    name: 'permission to reset',
    operations: 1,
    weight: 8,
    run: async ({ stations }, station) =>
      expectAnswer(await stations.request(station, 'is_reset_allowed', 'Soft'), true, false),
  },
  {
    name: 'refused update',
    operations: 1,
    weight: 8,
    run: async ({ stations, nextId }, station) => {
      const request = { request_id: nextId(), location: 'gopher://nowhere/' };
      return expectAnswer(await stations.request(station, 'update_firmware', request), 'Rejected');
    },
  },
  {
    name: 'update from nowhere',
    operations: 1,
    weight: 16,
    run: (scene, station) =>
      toItsEnd(scene, station, 'update_firmware', { location: nowhere(scene) }, 'DownloadFailed'),
  },
  {
    name: 'superseded update',
    operations: 2,
    weight: 10,
    run: async (scene, station) => {
      const { stations, nextId } = scene;
      const first = { request_id: nextId(), location: nowhere(scene), retries: 3, retry_interval_s: 3600 };
      await stations.request(station, 'update_firmware', first);
      return toItsEnd(scene, station, 'update_firmware', { location: nowhere(scene) }, 'DownloadFailed');
    },
  },
  {
    name: 'installed update',
    operations: 1,
    weight: 6,
    run: (scene, station) =>
      toItsEnd(scene, station, 'update_firmware', { location: scene.random.pick(scene.images) }, 'Installed'),
  },
  {
    name: 'log upload over HTTP',
    operations: 1,
    weight: 8,
    run: (scene, station) =>
      toItsEnd(scene, station, 'upload_logs', { type: 'SecurityLog', location: scene.sink }, 'Uploaded'),
  },
  {
    name: 'log upload to S3',
    operations: 1,
    weight: 4,
    run: (scene, station) =>
      toItsEnd(
        scene,
        station,
        'upload_logs',
        { type: 'SecurityLog', location: `s3://khumbu/logs/${station}/` },
        'Uploaded',
      ),
  },
  {
    name: 'superseded log upload',
    operations: 2,
    weight: 6,
    run: async (scene, station) => {
      const { stations, nextId, sink } = scene;
      const first = { request_id: nextId(), type: 'SecurityLog', location: sink, retries: 1 };
      await stations.request(station, 'upload_logs', first);
      return toItsEnd(scene, station, 'upload_logs', { type: 'SecurityLog', location: sink }, 'Uploaded');
    },
  },
  {
    name: 'reset',
    operations: 1,
    weight: 4,
    run: async ({ stations, lastReset }, station) => {
      const before = await lastReset(station);
      await stations.tell(station, 'reset', { type: 'Soft', scheduled: false });
      // A station asks once it is there again, which is after the reset was stored.
      const isOver = async (): Promise<boolean> => {
        const reset = await lastReset(station);
        if (reset.id === before.id) return false;
        if (!reset.over) await stations.request(station, 'get_boot_reason');
        return reset.over;
      };
      await awaitUntil(isOver, RESET_MS, `the reset of ${station} to end`);
      return undefined;
    },
  },
];

/** By weight. */
export function pickTask(random: Random): Task {
  let left = random.next() * TASKS.reduce((sum, { weight }) => sum + weight, 0);
  for (const task of TASKS) {
    left -= task.weight;
    if (left < 0) return task;
  }
  return TASKS[0] as Task;
}
