/**
 * The one answer to one request: the decision or the default, whichever is first. A request that was answered before gets the
 * same answer again.
 *
 * A default may not be stored before it is out. So the message is acknowledged before the default is published: no later
 * leader decides anew what the station has heard refused.
 */
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { encodeReply } from '@khumbu/shared/contract/codec';
import type { Core } from '../core.js';

/** What is answered. */
export interface Answerable {
  readonly name: RequestChannelName;
  readonly station: string;
  /** Where the answer goes; `undefined`: none is wanted. */
  readonly replyTopic: string | undefined;
  readonly acknowledge?: (() => void) | undefined;
}

type Deps = Pick<Core, 'publish' | 'standing' | 'replyCache' | 'limitedLog' | 'metrics'>;

export type CreateReply = ReturnType<typeof createReplies>;
export type Reply = ReturnType<CreateReply>;

export const createReplies =
  ({ publish, standing, replyCache, limitedLog, metrics }: Deps) =>
  ({ name, station, replyTopic, acknowledge }: Answerable, answerKey: string) => {
    const began = performance.now();
    let out: Promise<unknown> | undefined;
    const send = async (value: unknown, by: 'decision' | 'default'): Promise<boolean> => {
      metrics.answers.labels(name, by).observe((performance.now() - began) / 1000);
      if (replyTopic === undefined) return true;
      replyCache.remember({ station, answerKey, reply: value }, by === 'default');
      return publish(replyTopic, encodeReply(name, value), 1, by === 'default' ? 'refuse' : 'publish');
    };
    /** What the same request was answered before goes out again; `undefined`: nothing. */
    const repeat = (): Promise<unknown> | undefined => {
      const before = replyTopic === undefined ? undefined : replyCache.find(station, answerKey);
      if (!before || replyTopic === undefined) return undefined;
      out ??= publish(replyTopic, encodeReply(name, before.reply), 1, 'refuse');
      return out;
    };
    return {
      /** Resolves with whether it was heard; `undefined`: another one is the answer, or it may not be published now. */
      async decide(value: unknown): Promise<'heard' | 'unheard' | undefined> {
        if (out || standing() !== 'leading') return undefined;
        const sending = send(value, 'decision');
        out = sending;
        return (await sending) ? 'heard' : 'unheard';
      },
      /** Resolves when the default, or what was answered instead of it, is out. */
      async refuse(reason: string): Promise<void> {
        const before = out ?? repeat();
        if (before) return void (await before);
        limitedLog.warn({ station, request: name, reason }, 'answered by default');
        acknowledge?.();
        out = send(fallbackReply(name), 'default');
        await out;
      },
      repeat,
      /** The decision is not all done here: a redelivery must find what is stored. */
      leaveToNext: (): void => replyCache.forget(station, answerKey),
      get isOut(): boolean {
        return out !== undefined;
      },
    };
  };
