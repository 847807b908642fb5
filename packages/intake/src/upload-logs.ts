/** `upload_logs`: what it is decided from, and what the decision stores. */
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { newOperationId } from '@khumbu/operations/records/record';
import type { UploadLogsRequest } from '@khumbu/shared/contract/schemas';
import { uploadFileName } from '@khumbu/shared/locations/upload-location';
import { decideLogUpload } from './decide-log-upload.js';
import { objectionToReplacing } from './decide-replacement.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import { offeredBase } from './offers.js';
import type { Requester } from './requester.js';
import type { SituationInSlot } from './situation.js';

export function createUploadLogs(parts: Parts) {
  const { accept, read, locations, now, archiveFormat = 'gzip' } = parts;

  const decide = (request: UploadLogsRequest, id: string, situation: SituationInSlot<'log_upload'>): Decision => {
    const { requester, profile, current } = situation;
    const { station, origin } = requester;
    const type = request.type || 'DiagnosticsLog';
    const fileName = uploadFileName(station, type, new Date(now().wall), id, archiveFormat);
    const decision = decideLogUpload(request, { profile, current, locations, origin, fileName });
    if (decision.reply === 'Rejected') {
      const { reply: upload_logs_status, ...why } = decision;
      return { kind: 'answer', reply: { upload_logs_status }, ...why };
    }
    const objection = objectionToReplacing(requester, current);
    if (objection) return { kind: 'answer', reply: { upload_logs_status: 'Rejected' }, reason: objection };
    const { replaces, location = request.location } = decision;
    const record: LogUploadRecord = {
      ...offeredBase(parts, 'log_upload', requester, request.request_id ?? -1, id, replaces),
      request: { ...request, location },
      logType: decision.logType,
      fileName: decision.fileName,
      ...(archiveFormat === 'gzip' ? {} : { archiveFormat }),
      announced: origin === 'everest',
      tries: 0,
    };
    const reply = { upload_logs_status: decision.reply, file_name: decision.fileName };
    return { kind: 'offer', reply, record, replaces };
  };

  return async (request: UploadLogsRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('log_upload', now());
    return accept({
      channel: 'upload_logs',
      requester,
      read: () => read.requestInSlot(requester, 'log_upload'),
      decide: (situation) => decide(request, id, situation),
    });
  };
}
