/**
 * One request from its bytes to its answer: decode, ask the front desk, reply in time whatever happens, then let the
 * work begin. Never throws; rejects only when the answer could not be sent, so that the message is not acknowledged
 * and comes again to the next session.
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { encodeReply } from '@khumbu/shared/contract/codec';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Answer, Asker } from '../front-desk/admission.js';
import type { Liveness } from '../front-desk/boot-reasons.js';
import type { FrontDesk } from '../front-desk/front-desk.js';
import type { Insist } from './insist.js';
import { REQUESTS } from './request-table.js';

/** EVerest's caller blocks its OCPP stack while it waits. */
const ANSWER_DEADLINE_MS = 1000;

export interface Request {
  readonly name: RequestChannelName;
  readonly station: string;
  readonly payload: unknown;
  /** Where the answer goes; `undefined`: nobody waits for one. */
  readonly replyTopic: string | undefined;
  /** The broker delivers it again. */
  readonly dup: boolean;
  readonly bytes: Uint8Array;
  readonly liveness: Liveness;
}

export interface AnsweringDeps {
  readonly frontDesk: FrontDesk;
  readonly publish: (topic: string, payload: string, qos: 0 | 1) => Promise<void>;
  readonly insist: Insist;
  readonly log: Logger;
  readonly onAnswered?: (name: RequestChannelName, by: 'decision' | 'default', ms: number) => void;
}

/**
 * The name of a request is its reply topic's last part, a fresh uuid. A request that wants no answer has none; its bytes
 * stand for it, but only a redelivery of them is the same request.
 */
function askerOf({ name, station, replyTopic, dup, bytes }: Request): Asker {
  const origin = 'everest';
  if (replyTopic !== undefined) {
    return { station, origin, answerKey: `${name}:${replyTopic.slice(replyTopic.lastIndexOf('/') + 1)}` };
  }
  const answerKey = `${name}:${createHash('sha256').update(bytes).digest('hex')}`;
  return dup ? { station, origin, answerKey } : { station, origin, answerKey, isFresh: true };
}

export type Answering = ReturnType<typeof createAnswering>;

export function createAnswering({ frontDesk, publish, insist, log, onAnswered }: AnsweringDeps) {
  const decideInTime = async (request: Request, asker: Asker): Promise<Answer | undefined> => {
    const deciding = REQUESTS[request.name](frontDesk, request.payload, asker, request.liveness);
    const late = new AbortController();
    const deadline = pause(ANSWER_DEADLINE_MS, 'late' as const, { signal: late.signal }).catch(() => 'late' as const);
    const first = await Promise.race([deciding.catch((error: unknown) => ({ error })), deadline]);
    late.abort();
    if (first === 'late') {
      log.warn({ station: request.station, request: request.name }, 'answered by default: no decision in time');
      // Should the decision be stored in the end, it is taken back.
      await deciding.then(
        (answer) => insist('taking back', () => frontDesk.takeBack(asker, request.name, answer.operationId)),
        () => undefined,
      );
      return undefined;
    }
    if ('error' in first) {
      log.warn(
        { station: request.station, request: request.name, reason: describeError(first.error) },
        'answered by default',
      );
      return undefined;
    }
    return first;
  };

  return async (request: Request): Promise<Answer | undefined> => {
    const began = performance.now();
    const asker = askerOf(request);
    let replied = false;
    const reply = async (value: unknown, by: 'decision' | 'default'): Promise<void> => {
      if (replied) return;
      replied = true;
      onAnswered?.(request.name, by, performance.now() - began);
      if (request.replyTopic !== undefined) await publish(request.replyTopic, encodeReply(request.name, value), 1);
    };
    // The default goes out at the deadline, not when the late decision has been taken back.
    const timer = setTimeout(() => {
      reply(fallbackReply(request.name), 'default').catch((error: unknown) =>
        log.debug({ reason: describeError(error) }, 'default answer not sent'),
      );
    }, ANSWER_DEADLINE_MS + 10);
    const answer = await decideInTime(request, asker).finally(() => clearTimeout(timer));
    if (!answer) {
      await reply(fallbackReply(request.name), 'default');
      return undefined;
    }
    await reply(answer.reply, 'decision');
    const { station, name } = request;
    const { operationId, reason } = answer;
    const what = { station, request: name, answer: answer.reply, operationId, reason };
    if (operationId !== undefined && name !== 'set_system_time')
      log.info({ audit: true, origin: 'everest', ...what }, 'answered');
    else if (reason !== undefined) log.info(what, 'answered');
    else log.debug(what, 'answered');
    if (answer.afterReply) await insist('confirming', answer.afterReply);
    return answer;
  };
}
