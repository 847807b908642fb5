import { publicLocation } from '@khumbu/shared/locations/location';
import { keptLocation } from '../../records/secrets.js';
import type { WaitWord } from '../../records/wait-words.js';
import type { KindDefinition, OpenState } from '../kind-definition.js';
import { applyLogEvent, LOG_UPLOAD_TRANSITIONS, type LogUploadEvent, type LogUploadRecord } from './record.js';

export const logUpload = {
  scope: 'station',
  transitions: LOG_UPLOAD_TRANSITIONS,
  waits: {
    words: {
      Offered: 'answer',
      Accepted: 'worker',
      Uploading: 'upload',
    } satisfies Record<OpenState<typeof LOG_UPLOAD_TRANSITIONS>, WaitWord>,
  },
  queue: 'log-uploads',
  jobs: ['upload'],
  nextWork: ({ state }) => (state === 'Accepted' || state === 'Uploading' ? { name: 'upload' as const } : undefined),
  channel: 'upload_logs',
  status: { channel: 'log_status', isFinal: ({ log_status: status }) => status !== 'Uploading' },
  apply: applyLogEvent,
  onDeadline: (record, context) => applyLogEvent(record, 'outOfTime', context),
  view: ({ request, fileName, sizeBytes }) => ({ location: publicLocation(request.location), fileName, sizeBytes }),
  progress: ({ state, id, tries }) => (state === 'Uploading' ? { subject: id, run: tries } : undefined),
  securityDetails: ({ logType, request, sizeBytes, archive }) => ({
    details: {
      logType,
      location: publicLocation(request.location),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(archive?.sha256 === undefined ? {} : { sha256: archive.sha256 }),
    },
  }),
  withoutSecrets: (record) => ({
    ...record,
    request: { ...record.request, location: keptLocation(record.request.location) },
  }),
} as const satisfies KindDefinition<LogUploadRecord, LogUploadEvent>;
