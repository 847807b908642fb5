/** The audit line of every operation that has ended: who asked, what, of which station, how it ended. */
import type { Logger } from '@khumbu/shared/runtime/logger';
import { publicOutcome } from '../events/events.js';
import { isNews, type OperationRecord } from './kinds.js';

/** For `createStore`: the process whose commit ends the operation writes its line. */
export const auditEnded =
  (log: Logger) =>
  (record: OperationRecord): void => {
    if (!isNews(record)) return;
    const { id, kind, station, origin, requestId, askedBy, state, outcome } = record;
    log.info(
      {
        audit: true,
        operationId: id,
        kind,
        station,
        origin,
        request_id: requestId,
        caller: askedBy,
        status: state,
        outcome: outcome && publicOutcome(outcome),
      },
      'operation ended',
    );
  };
