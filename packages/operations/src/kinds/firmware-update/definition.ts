import { publicLocation } from '@khumbu/shared/locations/location';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { installSubject } from '../../events/progress.js';
import { keptLocation } from '../../records/secrets.js';
import { readStoredWait } from '../../records/wait-words.js';
import type { KindDefinition } from '../kind-definition.js';
import { FIRMWARE_UPDATE_TRANSITIONS, type FirmwareUpdateEvent, isFinalUpdateStatus } from './machine.js';
import { nextUpdateWork, UPDATE_JOBS } from './next-work.js';
import { needsReaffirming, reaffirm } from './reaffirm.js';
import { type FirmwareUpdateRecord, imagesOf, installAt, retrieveAt } from './record.js';
import { rejoin } from './rejoin.js';
import { applyUpdateEvent } from './transition.js';
import { UPDATE_WAITS } from './waits.js';

const dateText = (at: number | undefined): string | undefined => (at === undefined ? undefined : rfc3339(at));

export const firmwareUpdate = {
  scope: 'station',
  transitions: FIRMWARE_UPDATE_TRANSITIONS,
  waits: UPDATE_WAITS,
  queue: 'firmware-updates',
  jobs: UPDATE_JOBS,
  alsoNeeds: ['firmware-fetches'],
  nextWork: nextUpdateWork,
  channel: 'update_firmware',
  status: {
    channel: 'firmware_update_status',
    isFinal: ({ firmware_update_status: status }) => isFinalUpdateStatus(status),
  },
  apply: applyUpdateEvent,
  onConfirmed: (record, context) =>
    (retrieveAt(record) ?? 0) > context.now.wall ? applyUpdateEvent(record, 'retrieveLater', context) : undefined,
  onDeadline(record, context) {
    const wait = readStoredWait(record.waitingFor);
    return applyUpdateEvent(record, 'outOfTime', context, wait ? { reason: `deadline_${wait.for}` } : {});
  },
  awaitsBoot: ({ triggerEpoch }) => triggerEpoch !== undefined,
  onBoot: (record, context) => (needsReaffirming(record, context.bootEpoch) ? reaffirm(record, context) : undefined),
  onReconcile: rejoin,
  shownStatus: ({ state, downloadPaused }) => (state === 'Downloading' && downloadPaused ? 'DownloadPaused' : state),
  view: (record) => ({
    location: publicLocation(record.request.location),
    retrieveTimestamp: dateText(retrieveAt(record)),
    installTimestamp: dateText(installAt(record)),
    image: record.image && { sha256: record.image.sha256, sizeBytes: record.image.sizeBytes },
    permissionBy: record.permission?.by,
    pausedBy: record.pausedByOperator?.by,
    downloadNowBy: record.downloadNow?.by,
    wanBytes: record.wanBytes,
  }),
  progress(record) {
    if (record.state === 'Installing') return { subject: installSubject(record.id) };
    const { fetch } = record;
    return record.state === 'Downloading' && fetch ? { subject: fetch.id, run: fetch.generation } : undefined;
  },
  securityDetails: ({ request, signed, image }) => ({
    details: {
      location: publicLocation(request.location),
      signed,
      ...(image ? { sha256: image.sha256, sizeBytes: image.sizeBytes } : {}),
    },
  }),
  withoutSecrets: (record) => ({
    ...record,
    request: { ...record.request, location: keptLocation(record.request.location) },
  }),
  images: ({ image }) => (image ? imagesOf(image) : []),
  needing({ id, image, request }, sha256, isFor) {
    const isNeeded = image ? imagesOf(image).includes(sha256) : isFor(request.location);
    return isNeeded ? [id] : [];
  },
} as const satisfies KindDefinition<FirmwareUpdateRecord, FirmwareUpdateEvent>;
