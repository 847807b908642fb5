/** Log uploads at the intake. */
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { newOperationId } from '@khumbu/operations/records/record';
import type { UploadLogsRequest } from '@khumbu/shared/contract/schemas';
import { uploadFileName } from '@khumbu/shared/locations/upload-location';
import type { Admission } from './admission.js';
import { decideLogUpload } from './decide-log-upload.js';
import { objectionToReplacing } from './decide-replacement.js';
import type { Answer, IntakeDeps, Requester } from './requester.js';

export function createLogUploads(deps: IntakeDeps, { admit, inSlot, offeredBase, now }: Admission) {
  const uploadLogs = async (request: UploadLogsRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('log_upload', now());
    return admit('upload_logs', requester, async ({ state, profile }) => {
      const current = await inSlot<LogUploadRecord>(state, 'log_upload');
      const type = request.type || 'DiagnosticsLog';
      const fileName = uploadFileName(requester.station, type, new Date(now().wall), id);
      const decision = decideLogUpload(request, {
        profile,
        current,
        locations: deps.locations,
        origin: requester.origin,
        fileName,
      });
      if (decision.reply === 'Rejected') {
        const { reply: upload_logs_status, ...why } = decision;
        return { kind: 'answer', reply: { upload_logs_status }, ...why };
      }
      const objection = objectionToReplacing(requester, current);
      if (objection) return { kind: 'answer', reply: { upload_logs_status: 'Rejected' }, reason: objection };
      const { replaces, location = request.location } = decision;
      const record: LogUploadRecord = {
        ...offeredBase('log_upload', requester, request.request_id ?? -1, id),
        request: { ...request, location },
        logType: decision.logType,
        fileName: decision.fileName,
        announced: requester.origin === 'everest',
        tries: 0,
        ...(replaces ? { supersedes: replaces.id } : {}),
      };
      const reply = { upload_logs_status: decision.reply, file_name: decision.fileName };
      return { kind: 'offer', reply, record, ...(replaces ? { replaces } : {}) };
    });
  };

  return { uploadLogs };
}
