/**
 * One request from its bytes to its answer: ask the intake, reply in time whatever happens, then let the work begin.
 * The time runs from the request's arrival, whatever it waits for, as long as this process works. Rejects only when the answer could not be sent, so
 * that the message is not acknowledged and comes again to the next session.
 *
 * A default that may not be stored is final all the same: the message is acknowledged before the default is sent, so that
 * no later leader decides anew what the station has heard refused. So what is delivered again was not refused before, but it
 * may have been answered: that answer is looked for first, however long it takes.
 *
 * A question that nobody can answer yet waits for a sign, outside of its line, and then begins anew.
 */
import { createHash } from 'node:crypto';
import type { Answer } from '@khumbu/intake/decision';
import type { Intake } from '@khumbu/intake/intake';
import type { Requester } from '@khumbu/intake/requester';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { encodeReply } from '@khumbu/shared/contract/codec';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { mayNot, type Standing } from '../../leader/standing.js';
import type { RateLimitedLog } from '../../rate-limited-log.js';
import type { ReplyCache } from '../outbound/reply-cache.js';
import type { KeyedQueue } from '../session/keyed-queue.js';
import type { Speech } from '../session/mqtt-session.js';
import type { RetryUntilClosed } from '../session/retry-until-closed.js';
import { type Circumstances, REQUESTS } from './request-table.js';
import { afterWorking } from './working-time.js';

/** EVerest's caller blocks its OCPP stack while it waits. */
const ANSWER_DEADLINE_MS = 700;
/** However long this process stood still meanwhile. */
const ANSWER_LATEST_MS = 2500;

export interface Request extends Circumstances {
  readonly name: RequestChannelName;
  readonly station: string;
  readonly payload: unknown;
  /** Where the answer goes; `undefined`: nobody waits for one. */
  readonly replyTopic: string | undefined;
  /** The broker delivers it again. */
  readonly dup: boolean;
  readonly bytes: Uint8Array;
  /** Why it is not to be decided any more; unless it was answered before, it is refused. */
  readonly refusal?: string | undefined;
  readonly acknowledge?: (() => void) | undefined;
  /** Requests of one line are decided one after the other. */
  readonly queueKey: string;
  /** To be done before the decision. */
  readonly prepare: () => Promise<void>;
  /**
   * The sign that the decision needs, which was found open in this boot epoch; `undefined`: it may not wait for one. Rejects
   * when the session is over.
   */
  readonly awaitSign: (openIn: number) => Promise<Circumstances['liveness']['sign']>;
  /** To be done once the decision is out, before the next one in the line. */
  readonly decided: (answer: Answer) => Promise<void>;
}

export interface AnsweringDeps {
  readonly intake: Intake;
  /** Resolves with whether somebody may have heard it. */
  readonly publish: (topic: string, payload: string, qos: 0 | 1, speech: Speech) => Promise<boolean>;
  /** Only who leads may publish what is decided. */
  readonly standing: () => Standing;
  readonly replyCache: ReplyCache;
  readonly queue: KeyedQueue;
  readonly retryUntilClosed: RetryUntilClosed;
  readonly limitedLog: RateLimitedLog;
  readonly log: Logger;
  readonly onAnswered?: (name: RequestChannelName, by: 'decision' | 'default', ms: number) => void;
}

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

/** The one answer to one request: whoever is first, the decision or the default, is the answer. */
interface Reply {
  /** Resolves with whether it was heard; `undefined`: another one is the answer, or we may not speak. */
  decide(value: unknown): Promise<'heard' | 'unheard' | undefined>;
  /** Resolves when the default, or what was answered instead of it, is out. */
  refuse(reason: string): Promise<void>;
  /** What the same request was answered before goes out again; `undefined`: nothing. */
  repeat(): Promise<unknown> | undefined;
  /** The decision is not all done here: a redelivery must find what is stored. */
  leaveToNext(): void;
  readonly isOut: boolean;
}

export type Answering = ReturnType<typeof createAnswering>;

export function createAnswering(deps: AnsweringDeps) {
  const { intake, publish, standing, replyCache, queue, retryUntilClosed, limitedLog, log, onAnswered } = deps;

  const replyTo = (request: Request, { answerKey }: Requester): Reply => {
    const { name, station, replyTopic } = request;
    const began = performance.now();
    let out: Promise<unknown> | undefined;
    const send = async (value: unknown, by: 'decision' | 'default'): Promise<boolean> => {
      onAnswered?.(name, by, performance.now() - began);
      if (replyTopic === undefined) return true;
      replyCache.remember({ station, answerKey, reply: value }, by === 'default');
      return publish(replyTopic, encodeReply(name, value), 1, by === 'default' ? 'refuse' : 'publish');
    };
    const repeat = (): Promise<unknown> | undefined => {
      const before = replyTopic === undefined ? undefined : replyCache.find(station, answerKey);
      if (!before || replyTopic === undefined) return undefined;
      out ??= publish(replyTopic, encodeReply(name, before.reply), 1, 'refuse');
      return out;
    };
    return {
      async decide(value) {
        if (out || standing() !== 'leading') return undefined;
        const sending = send(value, 'decision');
        out = sending;
        return (await sending) ? 'heard' : 'unheard';
      },
      async refuse(reason) {
        const before = out ?? repeat();
        if (before) return void (await before);
        limitedLog.warn({ station, request: name, reason }, 'answered by default');
        request.acknowledge?.();
        out = send(fallbackReply(name), 'default');
        await out;
      },
      repeat,
      leaveToNext: () => replyCache.forget(station, answerKey),
      get isOut() {
        return out !== undefined;
      },
    };
  };

  const noteAnswer = ({ station, name }: Request, { reply: answer, operationId, reason, detail }: Answer): void => {
    const what = { station, request: name, answer, operationId, reason, detail };
    if (operationId !== undefined) log.info({ audit: true, origin: 'everest', ...what }, 'answered');
    else if (reason !== undefined) limitedLog.info(what, 'answered without an operation');
    else log.debug(what, 'answered');
  };

  /** EVerest has ended or gone on by default: its CSMS does not count on what was offered. */
  const forget = async (
    { name, station }: Request,
    requester: Requester,
    answer: Answer,
    reply: Reply,
  ): Promise<void> => {
    const { operationId } = answer;
    log.info({ station, request: name, operationId }, 'taken back: nobody waits for the answer any more');
    reply.leaveToNext();
    await retryUntilClosed('taking back', () => intake.revoke(requester, name, operationId));
  };

  /** The connection ended with the answer: unless the request comes again, nobody will know whether it was heard. */
  const noteAnswerSent = async (station: string, operationId: string): Promise<void> => {
    try {
      await intake.noteAnswerSent(operationId);
    } catch (error) {
      log.warn({ station, operationId, reason: describeError(error) }, 'not noted that the answer may have been heard');
    }
  };

  /** Resolves with whether the decision is the answer, once its work has begun. */
  const tell = async (request: Request, requester: Requester, answer: Answer, reply: Reply): Promise<boolean> => {
    try {
      const told = await reply.decide(answer.reply);
      if (!told) return false;
      if (told === 'unheard' && answer.followUp && !answer.repeated) {
        await forget(request, requester, answer, reply);
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

  /** What a leader before us has answered; it is told again. Resolves with whether there was an answer. */
  const tellAgain = async (request: Request, requester: Requester, reply: Reply): Promise<boolean> => {
    let isTold = false;
    await retryUntilClosed('looking for an answer', async () => {
      const answer = await intake.storedAnswer(requester);
      if (!answer) return;
      isTold = await tell(request, requester, answer, reply);
      if (!isTold) throw mayNot(standing(), 'publish');
    });
    return isTold;
  };

  /** The request's turn has come. Resolves with the boot epoch in which it was found open; `undefined`: it is answered. */
  const serve = async (request: Request, requester: Requester, reply: Reply): Promise<number | undefined> => {
    const before = reply.repeat();
    if (before || reply.isOut) return void (await before);
    const { name, payload } = request;
    let answer: Answer;
    try {
      answer = await REQUESTS[name](intake, payload, requester, request);
    } catch (error) {
      await reply.refuse(describeError(error));
      return undefined;
    }
    if (answer.openIn !== undefined) return answer.openIn;
    if (await tell(request, requester, answer, reply)) return undefined;
    // Only a default that is out is made true; one that is not leaves the request to the next session.
    await reply.refuse('decided too late');
    await retryUntilClosed('taking back', () => intake.revoke(requester, name, answer.operationId));
    return undefined;
  };

  /** One try in time, whatever happens. Resolves as `serve` does. */
  const serveInTime = async (request: Request, requester: Requester, reply: Reply): Promise<number | undefined> => {
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
        return serve(request, requester, reply);
      });
      // Refused before its turn has come, it is over: it must not stay one of the few its station may have open.
      return await Promise.race([turn, isLate.then(() => (hasBegun ? turn : undefined))]);
    } finally {
      callOff();
    }
  };

  return async (request: Request): Promise<void> => {
    const requester = requesterOf(request);
    const reply = replyTo(request, requester);
    const before = reply.repeat();
    if (before) return void (await before);
    if (request.dup && (await tellAgain(request, requester, reply))) return;
    if (request.refusal !== undefined) return reply.refuse(request.refusal);
    if (standing() !== 'leading') return reply.refuse('Redis does not say who leads');
    const openIn = await serveInTime(request, requester, reply);
    if (openIn === undefined || reply.isOut) return;
    const sign = await request.awaitSign(openIn);
    if (!sign) return reply.refuse('too many questions wait');
    if (standing() !== 'leading') return reply.refuse('Redis does not say who leads');
    const { liveness } = request;
    await serveInTime({ ...request, liveness: { ...liveness, sign } }, requester, reply);
  };
}
