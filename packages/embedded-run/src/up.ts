/** The whole cluster in one command: prepare, start, say so, wait, stop. */
import { whenAborted } from '@khumbu/shared/runtime/abort';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { banner } from './banner.js';
import { layOutCluster, type ServiceScripts } from './cluster.js';
import { type DataDir, openDataDir } from './data-dir.js';
import { claimPorts } from './ports.js';
import { findCommand, findPrograms } from './programs.js';
import { UP_SETTINGS, type UpSettings } from './settings.js';
import { pageOf } from './sign-in-link.js';
import { awaitStopRequest } from './stop-request.js';
import { createSupervisor } from './supervisor.js';

const START_MS = 180_000;

export interface UpOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly scripts: ServiceScripts;
  /** A line of progress, or of what is wrong. Of progress there is none with `UP_JSON`. */
  readonly say: (line: string) => void;
  /** The banner or the line of JSON. */
  readonly announce: (text: string) => void;
}

async function prepare(settings: UpSettings, dataDir: DataDir, options: UpOptions, signal: AbortSignal) {
  const leftovers = await dataDir.stopLeftovers();
  if (leftovers.length > 0) options.say(`Stopped what an earlier run left behind: ${leftovers.join(', ')}`);
  const { env, scripts, say } = options;
  const progress = settings.UP_JSON ? () => {} : say;
  const programs = await findPrograms(['redis', 'mosquitto', 'openssl'], { path: env.PATH, say, progress, signal });
  const ports = await claimPorts(settings);
  const cluster = layOutCluster({ settings, env, ports, dataDir, programs, scripts });
  const supervisor = createSupervisor({
    phases: cluster.phases,
    later: cluster.later,
    startMs: START_MS,
    say,
    progress,
    logPath: (name) => dataDir.at('log', `${name}.log`),
    started: (name, pid) => dataDir.rememberChild(name, pid),
    ended: (name) => dataDir.forgetChild(name),
    setpriv: findCommand(['setpriv'], env.PATH),
  });
  return { cluster, supervisor };
}

async function aborted(signal: AbortSignal): Promise<void> {
  // A signal listener alone does not keep the process alive; children do, but not when all are dead at once.
  const alive = setInterval(() => {}, 60_000);
  await whenAborted(signal);
  clearInterval(alive);
}

/**
 * Bring everything up and keep it up until a signal says stop. Resolves with the exit code: 0 after an orderly stop, 1
 * if it did not come up. Whatever goes wrong is said in one line, and nothing is left running.
 */
export async function runUp(options: UpOptions): Promise<number> {
  const startedAt = performance.now();
  let dataDir: DataDir | undefined;
  let run: Awaited<ReturnType<typeof prepare>> | undefined;
  const stop = awaitStopRequest(options.env, () => {
    options.say('Ending everything at once.');
    void run?.supervisor.kill();
  });
  let exitCode = 0;
  try {
    const settings = loadConfig(UP_SETTINGS, options.env);
    dataDir = await openDataDir(settings.DATA_DIR);
    run = await prepare(settings, dataDir, options, stop.signal);
    await run.supervisor.start(stop.signal);
    const { endpoints } = run.cluster;
    const seconds = (performance.now() - startedAt) / 1000;
    options.announce(
      settings.UP_JSON
        ? `${JSON.stringify(endpoints)}\n`
        : banner(endpoints, await pageOf(endpoints.httpUrl, endpoints.apiKey), settings.SIMULATED_STATIONS, seconds),
    );
    void run.supervisor.startLater(stop.signal);
    await aborted(stop.signal);
  } catch (error) {
    exitCode = 1;
    if (!stop.signal.aborted) options.say(`khumbu: ${oneLine(error)}`);
  }
  if (stop.signal.aborted) options.say(`Stopping (${String(stop.signal.reason)}) ...`);
  await run?.supervisor.stop();
  dataDir?.release();
  stop.close();
  if (stop.signal.aborted) options.say('Stopped.');
  return exitCode;
}

/** Expected failures say what to do; an unexpected one is named as such. */
const oneLine = (error: unknown): string => {
  const text = describeError(error).replaceAll(/\s*\n\s*/g, ' ');
  return error instanceof CodedError ? text : `unexpected: ${text}`;
};
