/**
 * One request from its bytes to its answer: ask the intake, reply in time whatever happens, then let the work begin. The
 * time runs from the request's arrival, whatever it waits for, as long as this process works. Rejects only when the answer
 * could not be published, so that the message is not acknowledged and comes again to the next session.
 *
 * What is delivered again was not refused before, but it may have been answered: that answer is looked for first, however
 * long it takes.
 *
 * A question that cannot be answered yet waits for a sign, outside of its queue, and then begins anew.
 */
import { createHash } from 'node:crypto';
import type { Answer } from '@khumbu/intake/decision';
import type { Circumstances } from '@khumbu/intake/intake';
import type { Requester } from '@khumbu/intake/requester';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import { describeError } from '@khumbu/shared/runtime/errors';
import { mayNot } from '../../leader/standing.js';
import type { Core } from '../core.js';
import type { Decided, PublishDecided } from '../outbound/decided-answers.js';
import type { Answerable, CreateReply } from '../outbound/reply.js';
import { afterWorking } from './working-time.js';

/** EVerest's caller blocks its OCPP stack while it waits. */
const ANSWER_DEADLINE_MS = 700;
/** However long this process stood still meanwhile. */
const ANSWER_LATEST_MS = 2500;

export interface Request extends Circumstances, Answerable {
  readonly payload: unknown;
  /** The broker delivers it again. */
  readonly dup: boolean;
  readonly bytes: Uint8Array;
  /** Why it is not to be decided any more; unless it was answered before, it is refused. */
  readonly refusal?: string | undefined;
  /** Requests of one key are decided one after the other. */
  readonly queueKey: string;
  /** To be done before the decision. */
  readonly prepare: () => Promise<void>;
  /**
   * The sign that the decision needs, which was found open in this boot epoch; `undefined`: it may not wait for one. Rejects
   * when the session is over.
   */
  readonly awaitSign: (openIn: number) => Promise<Circumstances['liveness']['sign']>;
  /** To be done once the decision is out, before the next one of the same queue. */
  readonly decided: (answer: Answer) => Promise<void>;
}

type Deps = Pick<Core, 'intake' | 'standing' | 'queue' | 'retryUntilClosed' | 'log'> & {
  readonly createReply: CreateReply;
  readonly publishDecided: PublishDecided;
};

export const answerKeyOf = (name: RequestChannelName, replyTopic: string): string =>
  `${name}:${replyTopic.slice(replyTopic.lastIndexOf('/') + 1)}`;

/**
 * The name of a request is its reply topic's last part, a fresh uuid. A request that wants no answer has none; its bytes
 * stand for it, but only a redelivery of them is the same request.
 */
function requesterOf({ name, station, replyTopic, dup, bytes }: Request): Requester {
  const origin = 'everest';
  if (replyTopic !== undefined) return { station, origin, answerKey: answerKeyOf(name, replyTopic) };
  const answerKey = `${name}:${createHash('sha256').update(bytes).digest('hex')}`;
  return dup ? { station, origin, answerKey } : { station, origin, answerKey, isFresh: true };
}

type Asked = Decided & { readonly request: Request };

export type Answering = ReturnType<typeof createAnswering>;

export function createAnswering(deps: Deps) {
  const { intake, createReply, publishDecided, standing, queue, retryUntilClosed, log } = deps;

  /** What a leader before this one has answered is published again. Resolves with whether there was an answer. */
  const answerAgain = async (asked: Asked): Promise<boolean> => {
    let isAnswered = false;
    await retryUntilClosed('looking for an answer', async () => {
      const answer = await intake.storedAnswer(asked.requester);
      if (!answer) return;
      isAnswered = await publishDecided(asked, answer);
      if (!isAnswered) throw mayNot(standing(), 'publish');
    });
    return isAnswered;
  };

  /** The request's turn. Resolves with the boot epoch in which it was found open; `undefined`: it is answered. */
  const serve = async (asked: Asked): Promise<number | undefined> => {
    const { request, requester, reply } = asked;
    const before = reply.repeat();
    if (before || reply.isOut) return void (await before);
    const { name, payload } = request;
    let answer: Answer;
    try {
      answer = await intake.serve[name](payload, requester, request);
    } catch (error) {
      await reply.refuse(describeError(error));
      return undefined;
    }
    if (answer.openIn !== undefined) return answer.openIn;
    if (await publishDecided(asked, answer)) return undefined;
    // Only a default that is out is made true; one that is not leaves the request to the next session.
    await reply.refuse('decided too late');
    await retryUntilClosed('revoking', () => intake.revoke(requester, name, answer.operationId));
    return undefined;
  };

  /** One try in time, whatever happens. Resolves as `serve` does. */
  const serveInTime = async (asked: Asked): Promise<number | undefined> => {
    const { request, reply } = asked;
    let callOff = (): void => undefined;
    const isLate = new Promise<void>((resolve) => {
      const notSent = (error: unknown): void => log.debug({ reason: describeError(error) }, 'default answer not sent');
      const refuse = (): void => void reply.refuse('no decision in time').then(resolve, notSent);
      callOff = afterWorking(ANSWER_DEADLINE_MS, ANSWER_LATEST_MS, refuse);
    });
    try {
      await request.prepare();
      let hasBegun = false;
      const turn = queue.run(request.queueKey, () => {
        hasBegun = true;
        return serve(asked);
      });
      // Refused before its turn has come, it is over: it must not stay one of the few its station may have open.
      return await Promise.race([turn, isLate.then(() => (hasBegun ? turn : undefined))]);
    } finally {
      callOff();
    }
  };

  return async (request: Request): Promise<void> => {
    const requester = requesterOf(request);
    const reply = createReply(request, requester.answerKey);
    const asked = { request, requester, reply };
    const before = reply.repeat();
    if (before) return void (await before);
    if (request.dup && (await answerAgain(asked))) return;
    if (request.refusal !== undefined) return reply.refuse(request.refusal);
    if (standing() !== 'leading') return reply.refuse('Redis does not say who leads');
    const openIn = await serveInTime(asked);
    if (openIn === undefined || reply.isOut) return;
    const sign = await request.awaitSign(openIn);
    if (!sign) return reply.refuse('too many questions wait');
    if (standing() !== 'leading') return reply.refuse('Redis does not say who leads');
    await serveInTime({ ...asked, request: { ...request, liveness: { ...request.liveness, sign } } });
  };
}
