/** The log-worker: collects a station's logs, streams them into one archive, brings it where it was asked to. */
import { createObjectStore } from '@khumbu/object-store/object-store';
import { createProgress } from '@khumbu/operations/events/progress';
import { runWorkers } from '@khumbu/operations/jobs/worker-service';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { proxyRules } from '@khumbu/shared/http/forward-proxy';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { LogWorkerSettings } from './config.js';
import { createUpload } from './steps/upload.js';
import { sweepBegun } from './upload/begun-uploads.js';
import { sweepSpool } from './upload/spool-file.js';

const SWEEP_MS = 60_000;

runService(
  () => createLogger('log-worker', process.env.LOG_LEVEL ?? 'info'),
  async (life, log) => {
    const config = loadConfig(LogWorkerSettings, process.env);
    const objects =
      config.S3_ENDPOINT === undefined ? undefined : createObjectStore(config, { stallMs: config.UPLOAD_STALL_MS });
    const locations = createLocationPolicy(locationRules(config));

    await runWorkers('log-worker', life, log, config, async ({ redis, store, directory, now, files }) => {
      const authorities = followAuthorities('LOCATION_CA_FILE', config.LOCATION_CA_FILE, files);
      life.onStop('authorities', () => authorities?.close());
      const upload = createUpload({
        store,
        directory,
        objects,
        locations,
        progress: createProgress({
          redis,
          keys: store.keys,
          onError: (error) => log.debug({ err: error }, 'progress not told'),
          now: () => now().wall,
        }),
        driverOf: (profile) => createDriver(profile, { dataDir: config.SIMULATED_STATIONS_DIR }),
        settings: {
          spoolDir: config.SPOOL_DIR,
          tries: config.LOG_UPLOAD_TRIES,
          retryIntervalS: config.LOG_UPLOAD_RETRY_INTERVAL_S,
          mostRetryAfterS: config.MAX_RETRY_AFTER_S,
          stallMs: config.UPLOAD_STALL_MS,
          userAgent: userAgentOf(config),
          proxy: proxyRules(config),
          gzipLevel: config.LOG_GZIP_LEVEL,
          ca: authorities?.current,
        },
        now,
      });

      const isOpen = async (id: string): Promise<boolean> => {
        const record = await store.load(id);
        return record !== undefined && !isEnded(record);
      };
      /** What operations left behind that ended while nobody could clean up after them. */
      const sweep = async (): Promise<void> => {
        try {
          const removed = await sweepSpool(config.SPOOL_DIR, isOpen);
          if (removed > 0) log.info({ removed }, 'leftovers removed from the spool');
        } catch (error) {
          log.warn({ err: error }, 'the spool was not swept');
        }
        if (!objects) return;
        try {
          const ended = await sweepBegun({ spoolDir: config.SPOOL_DIR, objectStore: objects, isOpen, log });
          if (ended > 0) log.info({ ended }, 'unfinished uploads ended in the object store');
        } catch (error) {
          log.warn({ err: error }, 'not all unfinished uploads were ended in the object store');
        }
      };
      await sweep();
      const timer = setInterval(() => void sweep(), SWEEP_MS);
      life.onStop('spool sweeper', () => clearInterval(timer));

      return [
        {
          queue: 'log-uploads',
          concurrency: config.UPLOADS_AT_ONCE,
          steps: { upload: (record, context) => upload(record as LogUploadRecord, context) },
        },
      ];
    });
  },
);
