/** Many simulated stations in one process, each with the supervisor that starts EVerest again when it has ended. */
import { setMaxListeners } from 'node:events';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { ChargerWatch } from './charger-watch.js';
import { createEverestModule, type EverestModule, STOPPED } from './everest-module.js';
import type { EverestModuleOptions } from './everest-options.js';

export interface FleetOptions extends Omit<EverestModuleOptions, 'station' | 'watch'> {
  readonly stations: readonly string[];
  readonly watch?: (station: string) => ChargerWatch;
  readonly logger?: Logger;
  /** Shortest pause before EVerest is started again; up to twice as long. Default 500. */
  readonly pauseMs?: number;
}

/** Keep one station running until the signal fires. Resolves when it is up for the first time. */
function supervise(module: EverestModule, pauseMs: number, signal: AbortSignal, logger?: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const again = (): void => {
    clearTimeout(timer);
    // Spread out, so that a broker that comes back is not run over.
    if (!signal.aborted) timer = setTimeout(boot, pauseMs * (1 + Math.random()));
  };
  const boot = (): void => {
    module.start().catch((error: unknown) => {
      logger?.warn({ station: module.station, reason: describeError(error) }, 'EVerest did not start');
      again();
    });
  };
  return new Promise((resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        module.off('exited', again);
        reject(signal.reason);
      },
      { once: true },
    );
    module.once('up', () => resolve());
    module.on('exited', again);
    boot();
  });
}

function report(module: EverestModule, logger: Logger): void {
  const log = logger.child({ station: module.station });
  module.on('up', ({ number }) => log.info({ boot: number }, 'EVerest runs'));
  module.on('down', (why) => log[why === STOPPED ? 'debug' : 'info']({ why }, 'EVerest is down'));
  module.on('violation', (violation) => log.warn({ violation }, 'a message that OCPP cannot take'));
  module.on('status', ({ kind, status, requestId }) => log.debug({ kind, status, request_id: requestId }, 'status'));
  module.on('fault', ({ subType, clearedAtMs }) =>
    log.debug({ subType, cleared: clearedAtMs !== undefined }, 'communication fault'),
  );
}

export function createFleet(options: FleetOptions) {
  const { stations: names, watch, logger, pauseMs = 500, ...module } = options;
  const over = new AbortController();
  const stations = names.map((station) =>
    createEverestModule({ ...module, station, ...(watch ? { watch: watch(station) } : {}) }),
  );
  return {
    stations,
    /** Resolves when every station has been up once. Rejects with the signal's reason when it fires before. */
    async start(signal: AbortSignal): Promise<void> {
      const either = AbortSignal.any([signal, over.signal]);
      either.throwIfAborted();
      setMaxListeners(0, either);
      if (logger) for (const station of stations) report(station, logger);
      await Promise.all(stations.map((station) => supervise(station, pauseMs, either, logger)));
    },
    /** End all stations for good. Safe to repeat. */
    async stop(): Promise<void> {
      over.abort();
      await Promise.all(stations.map((station) => station.stop()));
    },
  };
}
export type Fleet = ReturnType<typeof createFleet>;
