/**
 * Makes a stored decision the answer: publishes it, logs it and lets its work begin. Where the broker says that no client
 * has subscribed to the reply topic, the decision is revoked instead.
 */
import type { Answer } from '@khumbu/intake/decision';
import type { Requester } from '@khumbu/intake/requester';
import { describeError } from '@khumbu/shared/runtime/errors';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import type { Core } from '../core.js';
import type { Answerable, Reply } from './reply.js';

/** About ten seconds: an offer whose answer was never confirmed is withdrawn later than that. */
const NOTING = { pausesMs: [200, 500, 1000], tries: 12 } as const;

type Deps = Pick<Core, 'intake' | 'retryUntilClosed' | 'limitedLog' | 'log'>;

/** What is decided, for whom, and how it is answered. */
export interface Decided {
  readonly request: Answerable & {
    /** To be done once the decision is out, before the next one of the same queue. */
    readonly decided: (answer: Answer) => Promise<void>;
  };
  readonly requester: Requester;
  readonly reply: Reply;
}

export type PublishDecided = ReturnType<typeof createDecidedAnswers>;

export function createDecidedAnswers({ intake, retryUntilClosed, limitedLog, log }: Deps) {
  const noteAnswer = ({ station, name }: Answerable, { reply: answer, operationId, reason, detail }: Answer): void => {
    const what = { station, request: name, answer, operationId, reason, detail };
    if (operationId !== undefined) log.info({ audit: true, origin: 'everest', ...what }, 'answered');
    else if (reason !== undefined) limitedLog.info(what, 'answered without an operation');
    else log.debug(what, 'answered');
  };

  /** EVerest has ended, or has gone on with the default: its CSMS does not count on the offer. */
  const revoke = async ({ request, requester, reply }: Decided, { operationId }: Answer): Promise<void> => {
    const { name, station } = request;
    log.info({ station, request: name, operationId }, 'revoked: the answer is not waited for any more');
    reply.leaveToNext();
    await retryUntilClosed('revoking', () => intake.revoke(requester, name, operationId));
  };

  /**
   * The connection ended with the answer: unless the request comes again, it stays open whether the station received it. Without the
   * note it would count as never sent, and be withdrawn in silence. What fails once is tried on, not bound to the session, which is over.
   */
  const noteAnswerSent = async (station: string, operationId: string): Promise<void> => {
    const note = (): Promise<void> => intake.noteAnswerSent(operationId);
    const onFailure = (error: unknown): void =>
      log.warn({ station, operationId, reason: describeError(error) }, 'not noted that the answer may have been heard');
    await note().catch(() => void retryUntil(note, NOTING).catch(onFailure));
  };

  /** Resolves with whether the decision is the answer, once its work has begun. */
  return async (decided: Decided, answer: Answer): Promise<boolean> => {
    const { request, reply } = decided;
    try {
      const published = await reply.decide(answer.reply);
      if (!published) return false;
      if (published === 'unheard' && answer.followUp && !answer.repeated) {
        await revoke(decided, answer);
        return true;
      }
      noteAnswer(request, answer);
      if (answer.followUp) await retryUntilClosed('confirming', () => intake.confirm(answer));
      await request.decided(answer);
      return true;
    } catch (error) {
      reply.leaveToNext();
      if (answer.operationId !== undefined && answer.followUp)
        await noteAnswerSent(request.station, answer.operationId);
      throw error;
    }
  };
}
