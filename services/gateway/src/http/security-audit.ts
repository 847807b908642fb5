/** Requests over REST that no record tells of, in the security log: cancel, allow, pause, budgets, artefacts, archives handed out. */
import type { AppendFact, ToldFact } from '@khumbu/operations/security-log/append-fact';
import type { Details } from '@khumbu/operations/security-log/entry';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Audit } from './submit-operation.js';

const isDetail = (value: unknown): value is Details[string] =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** Pure. `outcome`: members of an audit line, which holds no secrets. */
function requestFact(caller: string, what: string, station: string, outcome: object, at: number): ToldFact {
  const members = Object.entries(outcome).filter(([name]) => name !== 'operationId');
  const details = Object.fromEntries(members.filter(([, value]) => isDetail(value))) as Details;
  const { operationId } = outcome as { readonly operationId?: unknown };
  return {
    fact: {
      at,
      what,
      phase: 'done',
      by: { cause: 'rest', name: caller },
      ...(station === '' ? {} : { station }),
      ...(typeof operationId === 'string' ? { operationId } : {}),
      details,
    },
    limit: `rest:${caller}:${what}:${station}`,
  };
}

export interface SecurityAuditDeps {
  readonly append: AppendFact;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/** The audit line, and the entry. Nothing waits for it: the line is there if Redis is not. */
export const createSecurityAudit =
  (line: Audit, { append, now, log }: SecurityAuditDeps): Audit =>
  (request, what, station, outcome) => {
    line(request, what, station, outcome);
    append(requestFact(request.caller?.name ?? '', what, station, outcome, now())).catch((error: unknown) =>
      log.error({ requestId: request.id, reason: describeError(error) }, 'a request is missing in the security log'),
    );
  };
