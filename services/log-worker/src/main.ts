/** The log-worker: what leaves the depot. A station's logs, streamed into one archive and sent to its location; events, told to webhooks. */
import { createRedactor, type Redactor } from '@khumbu/log-redaction/redactor';
import { rulesInForce } from '@khumbu/log-redaction/settings';
import { openObjectStore } from '@khumbu/object-store/object-store';
import { createRetentionDate } from '@khumbu/operations/clock/retention-date';
import { createProgress } from '@khumbu/operations/events/progress';
import { followRedactionKey, redactionKey } from '@khumbu/operations/files/redaction-key';
import { sweepRegularly } from '@khumbu/operations/jobs/sweeps';
import { runWorkerService } from '@khumbu/operations/jobs/worker-service';
import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import { copyRules } from '@khumbu/operations/log-copies/settings';
import { isEnded } from '@khumbu/operations/records/record';
import { wanLink } from '@khumbu/operations/wan/settings';
import { openWanMeter } from '@khumbu/operations/wan/wan-meter';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { loadConfig } from '@khumbu/shared/runtime/config';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { proxyRules } from '@khumbu/transfer/http/forward-proxy';
import { followSshTrust } from '@khumbu/transfer/ssh-settings';
import { securityLogOf } from './archive/security-log.js';
import { type LogWorkerConfig, LogWorkerSettings } from './config.js';
import { forgetCopies } from './copies/forget-copies.js';
import { createUpload } from './steps/upload.js';
import { deliveryOf } from './upload/delivery.js';
import { sweepJournal } from './upload/multipart-journal.js';
import { createSharedJournal } from './upload/shared-journal.js';
import { sweepSpool } from './upload/spool-file.js';
import { startViews } from './views/start-views.js';
import { startWebhooks } from './webhooks/start-webhooks.js';

const SWEEP_MS = 60_000;

/** Archives are compared with others: better a try that fails than pseudonyms of this process alone. */
async function redactorBy(config: LogWorkerConfig, key: Promise<string>, profile: StationProfile): Promise<Redactor> {
  return createRedactor({ rules: rulesInForce(config, profile), key: await key, beginsInside: true });
}

runWorkerService(
  'log-worker',
  () => loadConfig(LogWorkerSettings, process.env),
  ({ config, life, log }) => {
    const objects = openObjectStore(config, { stallMs: config.UPLOAD_STALL_MS });
    const locations = createLocationPolicy(locationRules(config));
    const spoolDir = config.SPOOL_DIR;
    const link = wanLink(config);

    return async ({ redis, store, directory, notifications, now, files, onLogin, tellSettings }) => {
      tellSettings(LOCATION_SETTINGS, config);
      const connections = createSshPool({ onLogin });
      const authorities = followAuthorities('LOCATION_CA_FILE', config.LOCATION_CA_FILE, files);
      life.onStop('authorities', () => authorities?.close());
      const ssh = followSshTrust(config, files);
      life.onStop('ssh', () => ssh.close());
      const { keys } = store;
      const meter = openWanMeter({ redis, keys, now }, createWanStore(redis, keys, link, now), link, log);
      life.onStop('bytes over the WAN', () => meter.stop());
      const shared = createSharedJournal(redis, keys);
      const copies = { records: createCopyRecords(redis, keys), rules: copyRules(config), bucket: config.S3_BUCKET };
      const pseudonymKey = await followRedactionKey({ redis, keys, life, log });
      const drivers = { dataDir: config.SIMULATED_STATIONS_DIR, connections };
      const driverOf = (profile: StationProfile): StationDriver =>
        createDriver(profile, { ...drivers, redactionKey: pseudonymKey() });
      const redactorOf = (profile: StationProfile): Promise<Redactor> =>
        redactorBy(config, redactionKey(redis, keys), profile);
      const views = startViews(config, { redis, keys, directory, driverOf, redactorOf, log });
      life.onStop('live views', () => views.stop());
      const upload = createUpload({
        store,
        directory,
        now,
        locations,
        progress: createProgress({
          redis,
          keys: store.keys,
          onError: (error) => log.debug({ err: error }, 'progress not told'),
          now: () => now().wall,
        }),
        driverOf,
        spoolDir,
        levels: { gzip: config.LOG_GZIP_LEVEL, zstd: config.LOG_ZSTD_LEVEL },
        redactorOf,
        delivery: deliveryOf(config),
        shared,
        securityLog: securityLogOf(redis, keys),
        copies: objects && copies,
        transfers: {
          objects,
          stallMs: config.UPLOAD_STALL_MS,
          userAgent: userAgentOf(config),
          proxy: proxyRules(config),
        },
        ca: authorities?.current,
        ssh: ssh.current,
        limiter: () => meter.pace('up'),
        retries: {
          tries: config.LOG_UPLOAD_TRIES,
          retryIntervalS: config.LOG_UPLOAD_RETRY_INTERVAL_S,
          maxRetryAfterS: config.MAX_RETRY_AFTER_S,
        },
      });

      startWebhooks(
        { config, life, log },
        { redis, store, notifications, directory, now },
        locations,
        authorities?.current,
      );

      const retentionDate = createRetentionDate(redis, keys.retentionDate, now);
      const isOpen = async (id: string): Promise<boolean> => {
        const record = await store.load(id);
        return record !== undefined && !isEnded(record);
      };
      await sweepRegularly(life, log, SWEEP_MS, [
        {
          run: () => sweepSpool(spoolDir, isOpen),
          counts: 'removed',
          done: 'leftovers removed from the spool',
          failed: 'the spool was not swept',
        },
        {
          run: async () => (objects ? sweepJournal({ spoolDir, shared, objectStore: objects, isOpen, log }) : 0),
          counts: 'ended',
          done: 'unfinished uploads ended in the object store',
          failed: 'not all unfinished uploads were ended in the object store',
        },
        {
          run: async () =>
            objects ? forgetCopies({ ...copies, objects, isOpen, date: await retentionDate(), log }) : 0,
          counts: 'removed',
          done: 'kept archives removed: too old, or more than the quota',
          failed: 'not all kept archives that must go were removed',
        },
      ]);

      return [{ queue: 'log-uploads', concurrency: config.UPLOADS_AT_ONCE, steps: { upload } }];
    };
  },
);
