/**
 * EVerest's manager as its lifecycle_API shows it: topics, JSON with its indentation, qualities of service, the retained
 * status and the will, as in the public source of EVerest (docs/stations.md).
 */
import { connectAsync } from 'mqtt';

export type ModuleStatus = 'Running' | 'NotRunning' | 'Starting' | 'Stopping' | 'RestartTriggered';

const API = 'everest_api/1/lifecycle';
const dump = (value: unknown): string => JSON.stringify(value, undefined, 4);
const WILL = dump({ everest_running: false });

export interface ManagerOptions {
  readonly url: string;
  readonly readOnly?: boolean;
  /** What it answers to each request for a restart, in order; the last one goes on. */
  readonly answers?: readonly ('Restarting' | 'Starting' | 'NoConfigToStart' | 'Rejected')[];
  /** The statuses that follow an answer that takes it. */
  readonly follow?: readonly ModuleStatus[];
}

const A_RESTART: readonly ModuleStatus[] = ['RestartTriggered', 'Stopping', 'Starting', 'Running'];

export async function startManager({
  url,
  readOnly = false,
  answers = ['Restarting'],
  follow = A_RESTART,
}: ManagerOptions) {
  const client = await connectAsync(url, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    will: { topic: `${API}/e2m/status`, payload: Buffer.from(WILL), qos: 2, retain: true },
  });
  const asked: string[] = [];
  const told: ModuleStatus[] = [];
  const status = async (module_status: ModuleStatus): Promise<void> => {
    const value = {
      configuration_api_available: 'N_A',
      everest_running: true,
      lifecycle_api_ro: readOnly,
      module_status,
      tstamp: new Date().toISOString(),
    };
    await client.publishAsync(`${API}/e2m/status`, dump(value), { qos: 2, retain: true });
    told.push(module_status);
  };
  const restart = async (replyTo: string): Promise<void> => {
    const answer = readOnly ? 'Rejected' : (answers[asked.length - 1] ?? answers.at(-1) ?? 'Rejected');
    await client.publishAsync(replyTo, dump({ status: answer }));
    if (answer !== 'Restarting' && answer !== 'Starting') return;
    for (const next of follow) {
      // All modules have started: what was retained is cleared first.
      if (next === 'Running') await client.publishAsync(`${API}/e2m/status`, '', { retain: true });
      await status(next);
    }
  };
  client.on('message', (_topic, payload) => {
    const { headers } = JSON.parse(payload.toString()) as { headers: { replyTo: string } };
    asked.push(headers.replyTo);
    void restart(headers.replyTo);
  });
  await client.subscribeAsync(`${API}/m2e/start_modules`, { qos: 2 });
  await status('NotRunning');
  await status('Running');
  return {
    /** Where it was to answer, request by request. */
    asked: asked as readonly string[],
    /** What the broker has taken over. */
    told: told as readonly ModuleStatus[],
    status,
    /** SIGKILL: the broker publishes its will. */
    die: (): void => void client.stream.destroy(),
    stop: () => client.endAsync(true),
  };
}
