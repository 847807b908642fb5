/** Logins to stations in the security log. They are no part of a commit: a worker tells them as they happen. */
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Now } from '../clock/depot-clock.js';
import type { AppendFact, ToldFact } from './append-fact.js';

/** A connection that was opened, or could not be. */
export interface Login {
  readonly station?: string;
  /** user@host:port. */
  readonly at: string;
  /** `stage`: how far it went, as `host_key` or `login`. */
  readonly failure?: { readonly stage?: string; readonly message: string };
}

/** Pure. */
export function loginFact({ station, at, failure }: Login, service: string, now: number): ToldFact {
  const reason = failure && (failure.stage ?? 'unreachable');
  return {
    fact: {
      at: now,
      what: 'login',
      phase: 'done',
      by: { cause: 'depot', name: service },
      ...(station === undefined ? {} : { station }),
      ok: failure === undefined,
      ...(failure && reason !== undefined ? { reason, message: failure.message } : {}),
      details: { transport: 'ssh', to: at },
    },
    limit: `login:${reason ?? 'ok'}:${station ?? at}`,
  };
}

export interface TellLoginDeps {
  readonly append: AppendFact;
  readonly service: string;
  readonly now: Now;
  readonly log: Logger;
}

/** Nothing waits for it. One that Redis did not take is in the log. */
export const createTellLogin =
  ({ append, service, now, log }: TellLoginDeps) =>
  (login: Login): void => {
    append(loginFact(login, service, now().wall)).catch((error: unknown) =>
      log.error({ audit: true, login, reason: describeError(error) }, 'a login is missing in the security log'),
    );
  };
