/** The ota-worker: fetches firmware once per depot, verifies, installs, confirms after the reboot. */
import { createObjectStore } from '@khumbu/object-store/object-store';
import { createPercent, createProgress } from '@khumbu/operations/events/progress';
import type { Step } from '@khumbu/operations/jobs/job-loop';
import { runWorkers } from '@khumbu/operations/jobs/worker-service';
import type { FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { OtaWorkerSettings } from './config.js';
import { createDownload } from './images/download.js';
import { createImageChecks } from './images/image-checks.js';
import { endStaleCopies, objectStoreImages, sharedSpool } from './images/image-store.js';
import { makeRoom, oneAtATime, sweepImages } from './images/sweep.js';
import { createAnnounce } from './steps/announce.js';
import { createConfirm } from './steps/confirm.js';
import { createFetch } from './steps/fetch.js';
import { createInstall } from './steps/install.js';
import { createJoinFetch } from './steps/join-fetch.js';
import type { StepDeps } from './steps/step-deps.js';
import { createVerify } from './steps/verify.js';

const SWEEP_MS = 3600_000;

runService(
  () => createLogger('ota-worker', process.env.LOG_LEVEL ?? 'info'),
  async (life, log) => {
    const config = loadConfig(OtaWorkerSettings, process.env);
    const objects =
      config.S3_ENDPOINT === undefined ? undefined : createObjectStore(config, { stallMs: config.DOWNLOAD_STALL_MS });
    const rules = locationRules(config);

    await runWorkers(
      'ota-worker',
      life,
      log,
      config,
      ({ redis, store, jobs, directory, notifications, now, files }) => {
        const authorities = followAuthorities('LOCATION_CA_FILE', config.LOCATION_CA_FILE, files);
        life.onStop('authorities', () => authorities?.close());
        const free = oneAtATime(async (bytes) => {
          const freed = await makeRoom(config.SPOOL_DIR, bytes, () => store.neededImages(), Date.now());
          if (freed > 0) log.info({ freed }, 'images nobody needs now made room in the spool');
          return freed;
        });
        const checks = createImageChecks();
        const images =
          config.FIRMWARE_STORE === 's3' && objects
            ? objectStoreImages(config.SPOOL_DIR, objects, config.S3_BUCKET, free, {
                checks,
                onCorrupt: ({ sha256 }) =>
                  log.error({ sha256 }, 'the object store had other content under the name of an image: removed'),
              })
            : sharedSpool(config.SPOOL_DIR);
        const deps: StepDeps = {
          store,
          jobs,
          directory,
          images,
          checks,
          driverOf: (profile) => createDriver(profile, { dataDir: config.SIMULATED_STATIONS_DIR }),
          now,
        };
        const sweep = async (): Promise<void> => {
          try {
            const removed = await sweepImages(config.SPOOL_DIR, () => store.namedImages(), Date.now());
            if (removed > 0) log.info({ removed }, 'leftovers removed from the spool');
          } catch (error) {
            log.warn({ err: error }, 'the spool was not swept');
          }
          if (config.FIRMWARE_STORE !== 's3' || !objects) return;
          try {
            const ended = await endStaleCopies(objects, config.S3_BUCKET, Date.now());
            if (ended > 0) log.info({ ended }, 'unfinished copies of images ended in the object store');
          } catch (error) {
            log.warn({ err: error }, 'unfinished copies of images were not looked for in the object store');
          }
        };
        void sweep();
        const sweeper = setInterval(() => void sweep(), SWEEP_MS);
        life.onStop('spool sweeper', () => clearInterval(sweeper));

        const download = createDownload({
          config,
          rules,
          objects,
          makeRoom: free,
          ca: authorities?.current,
        });
        const defaults = {
          tries: config.DOWNLOAD_TRIES,
          retryIntervalS: config.DOWNLOAD_RETRY_INTERVAL_S,
          reuseUnaskedMs: config.REUSE_UNASKED_MS,
          minBytes: config.MIN_FIRMWARE_BYTES,
          mostRetryAfterS: config.MAX_RETRY_AFTER_S,
        };
        const join = createJoinFetch(deps, config.IGNORED_LOCATION_PARAMETERS, createLocationPolicy(rules));
        const verify = createVerify(deps, config.ALLOW_PKCS1_SIGNATURES);
        const announce = createAnnounce(deps);
        const confirm = createConfirm(deps);
        const onError = (error: unknown): void => log.debug({ err: error }, 'progress not told');
        const telling = { redis, keys: store.keys, onError, now: () => now().wall };
        const progress = createProgress(telling);
        const install = createInstall(deps, createPercent(telling));
        const fetch = createFetch({ ...deps, notifications, download, defaults, progress });

        // The queues say which kind of record a job has.
        const forUpdate =
          (step: (record: FirmwareUpdateRecord, context: Parameters<Step>[1]) => Promise<void>): Step =>
          (record, context) =>
            step(record as FirmwareUpdateRecord, context);
        return [
          {
            queue: 'firmware-updates',
            concurrency: config.UPDATES_AT_ONCE,
            steps: {
              download: forUpdate((record, context) =>
                record.state === 'Downloaded' ? verify(record, context) : join(record, context),
              ),
              announce: forUpdate(announce),
              install: forUpdate(install),
              confirm: forUpdate(confirm),
            },
          },
          {
            queue: 'firmware-fetches',
            concurrency: config.FETCHES_AT_ONCE,
            steps: { fetch: (record, context) => fetch(record as FirmwareFetchRecord, context) },
          },
        ];
      },
    );
  },
);
