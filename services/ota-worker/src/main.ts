/** The ota-worker: fetches firmware once per depot, verifies, installs, confirms after the reboot. */
import { join } from 'node:path';
import { contentPath, createUrlSigner } from '@khumbu/artifacts/signed-urls';
import { ownsImages, tellSpool } from '@khumbu/artifacts/spool-id';
import { requireOpenssl } from '@khumbu/firmware-trust/openssl-verify';
import { openObjectStore } from '@khumbu/object-store/object-store';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { createImports } from '@khumbu/operations/artifacts/imports';
import { createInstallProgress, createProgress } from '@khumbu/operations/events/progress';
import { followRedactionKey } from '@khumbu/operations/files/redaction-key';
import type { RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import { type Sweep, sweepRegularly } from '@khumbu/operations/jobs/sweeps';
import { runWorkerService } from '@khumbu/operations/jobs/worker-service';
import { wanRules } from '@khumbu/operations/wan/settings';
import { ignoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { LOCATION_SETTINGS, locationRules } from '@khumbu/shared/locations/settings';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { createAnnounce } from '@khumbu/steps/firmware-update/announce';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { createJoinFetch } from '@khumbu/steps/firmware-update/join-fetch';
import type { StepDeps } from '@khumbu/steps/firmware-update/step-deps';
import { createVerify } from '@khumbu/steps/firmware-update/verify';
import { followSshTrust } from '@khumbu/transfer/ssh-settings';
import { type OtaWorkerConfig, OtaWorkerSettings } from './config.js';
import { listLeftParts } from './fetching/resume-download.js';
import { LAST, reservedBytes } from './fetching/space-reservation.js';
import { createDownload } from './images/download.js';
import { openImages } from './images/open-images.js';
import { createImportFolder } from './importing/import-folder.js';
import { lookRegularly } from './importing/look-regularly.js';
import { openWan } from './wan.js';

const SWEEP_MS = 3600_000;

const retriesBy = (config: OtaWorkerConfig): RetrySettings => ({
  tries: config.DOWNLOAD_TRIES,
  retryIntervalS: config.DOWNLOAD_RETRY_INTERVAL_S,
  maxRetryAfterS: config.MAX_RETRY_AFTER_S,
});

type ImportFolder = Parameters<typeof createImportFolder>[0];
type ImportParts = Pick<ImportFolder, 'imports' | 'ignored' | 'now' | 'log'> &
  Pick<ImportFolder['takeIn'], 'place' | 'records'>;

/** What lies in `FIRMWARE_IMPORT_DIR`, if it is set, is taken in until the signal fires. */
function lookIntoImportFolder(
  config: OtaWorkerConfig,
  { place, records, imports, ignored, now, log }: ImportParts,
  stopping: AbortSignal,
): void {
  const folder = config.FIRMWARE_IMPORT_DIR;
  if (folder === undefined) return;
  const takeIn = {
    place,
    records,
    spoolDir: config.SPOOL_DIR,
    minBytes: config.MIN_FIRMWARE_BYTES,
    maxBytes: config.MAX_FIRMWARE_BYTES,
    allowPkcs1: config.ALLOW_PKCS1_SIGNATURES,
    reservedBytes: () => reservedBytes(join(config.SPOOL_DIR, 'fetching'), LAST, Date.now()),
  };
  void lookRegularly(createImportFolder({ folder, takeIn, imports, ignored, now, log }), stopping, log);
}

/** Gateways take artefacts in for a spool that is named. */
const spoolTelling = (run: Sweep['run']): Sweep => ({
  run,
  counts: 'told',
  done: 'the spool was named',
  failed: 'the spool was not named: gateways take no artefacts for it',
});

runWorkerService(
  'ota-worker',
  () => loadConfig(OtaWorkerSettings, process.env),
  ({ config, life, log }) => {
    requireOpenssl();
    const objects = openObjectStore(config, { stallMs: config.DOWNLOAD_STALL_MS });
    const rules = locationRules(config);
    const ignored = ignoredParameters(config);
    const link = wanRules(config);

    return async ({ redis, store, jobs, directory, notifications, now, files, onLogin, tellSettings }) => {
      tellSettings(LOCATION_SETTINGS, config);
      const connections = createSshPool({ onLogin });
      const authorities = followAuthorities('LOCATION_CA_FILE', config.LOCATION_CA_FILE, files);
      life.onStop('authorities', () => authorities?.close());
      const ssh = followSshTrust(config, files);
      life.onStop('ssh', () => ssh.close());
      const stopping = new AbortController();
      life.onStop('images', () => stopping.abort());
      const wall = (): number => now().wall;
      const artifacts = createArtifactRecords(redis, store.keys, wall);
      const showsAll = () => ownsImages(redis, store.keys, config.SPOOL_DIR, wall());
      const parts = { objects, store, artifacts, ignored, showsAll, now: wall, stopping: stopping.signal, log };
      const { images, checks, makeRoom, place, pieces, sweeps } = openImages(config, parts);
      lookIntoImportFolder(
        config,
        { place, records: artifacts, imports: createImports(redis, store.keys), ignored, now: wall, log },
        stopping.signal,
      );
      const telling = spoolTelling(async () => tellSpool(redis, store.keys, config.SPOOL_DIR, wall()));
      void sweepRegularly(life, log, SWEEP_MS, [telling, ...sweeps]);
      const signer = createUrlSigner(redis, store.keys, wall);
      const pseudonymKey = await followRedactionKey({ redis, keys: store.keys, life, log });
      const drivers = { dataDir: config.SIMULATED_STATIONS_DIR, connections };
      const deps: StepDeps = {
        store,
        jobs,
        directory,
        images,
        checks,
        driverOf: (profile) => createDriver(profile, { ...drivers, redactionKey: pseudonymKey() }),
        contentPath: async (sha256, seconds) => contentPath(sha256, await signer.sign(sha256, seconds)),
        now,
      };
      const { gate, meter } = openWan(
        { redis, store, jobs, notifications, now, artifacts, ignored },
        link,
        retriesBy(config),
        life,
        log,
      );
      const onError = (error: unknown): void => log.debug({ err: error }, 'progress not told');
      const progressOptions = { redis, keys: store.keys, onError, now: () => now().wall };
      const joinFetch = createJoinFetch(deps, ignored, createLocationPolicy(rules), gate);
      const verify = createVerify(deps, config.ALLOW_PKCS1_SIGNATURES);
      const fetch = createFetch({
        ...deps,
        notifications,
        gate,
        meter,
        download: createDownload({
          config,
          rules,
          objects,
          makeRoom,
          meter,
          ca: authorities?.current,
          ssh: ssh.current,
          pieces: pieces && { store: pieces, log },
        }),
        listLeftParts: (key) => listLeftParts(join(config.SPOOL_DIR, 'fetching'), key),
        ...(pieces ? { listLeftPieces: (key, signal) => pieces.listLeft(key, signal) } : {}),
        progress: createProgress(progressOptions),
        artifacts,
        ignored,
        reuseUnaskedMs: config.REUSE_UNASKED_MS,
        minBytes: config.MIN_FIRMWARE_BYTES,
        retries: retriesBy(config),
      });

      return [
        {
          queue: 'firmware-updates',
          concurrency: config.UPDATES_AT_ONCE,
          steps: {
            download: (record, context) =>
              record.state === 'Downloaded' ? verify(record, context) : joinFetch(record, context),
            announce: createAnnounce(deps),
            install: createInstall(deps, createInstallProgress(progressOptions)),
            confirm: createConfirm(deps),
          },
        },
        { queue: 'firmware-fetches', concurrency: config.FETCHES_AT_ONCE, steps: { fetch } },
      ];
    };
  },
);
