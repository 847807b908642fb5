/**
 * Messages that nothing is done with. One with a reply address gets the default, acknowledged first, so that no later leader
 * decides it anew.
 */
import { channel, type E2mChannelName, isRequest } from '@khumbu/shared/contract/channels';
import { encodeReply } from '@khumbu/shared/contract/codec';
import { replyTopic, type StationAddress } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import type { Station } from '../liveness/station.js';
import type { Incoming } from '../session/incoming.js';
import type { Answering } from './answering.js';
import { plainReplyTo } from './redelivered.js';

/** A topic may be 64 KiB long, and so may a reason that names a member; a line in the log need not be. */
export const LOGGED_LENGTH = 300;

type Deps = Pick<Core, 'prefix' | 'publish' | 'metrics' | 'limitedLog'> & { readonly answer: Answering };

export type Refusals = ReturnType<typeof createRefusals>;

export function createRefusals({ prefix, publish, answer, metrics, limitedLog }: Deps) {
  /** Nothing is done with it, and it is not answered. */
  const bad = (topic: string, reason: string): void => {
    metrics.badMessages.inc();
    limitedLog.warn({ topic: topic.slice(0, LOGGED_LENGTH), reason: reason.slice(0, LOGGED_LENGTH) }, 'bad message');
  };

  return {
    bad,

    async refuse(
      name: E2mChannelName | undefined,
      address: StationAddress,
      { topic, acknowledge }: Pick<Incoming, 'topic' | 'acknowledge'>,
      replyTo: string | undefined,
      reason: string,
    ): Promise<void> {
      bad(topic, reason);
      if (name === undefined || replyTo === undefined) return;
      const { reply } = channel(name);
      const to = replyTopic(prefix, address, replyTo);
      if (!reply || to === undefined) return;
      acknowledge?.();
      await publish(to, encodeReply(name, reply.fallback), 1, 'refuse');
    },

    /**
     * It came again and ended the leader that read it, so its words are not looked at: what it was answered before is
     * published, else the default. It can be answered where the reply address can be read without decoding the frame.
     */
    async refuseUnread(name: E2mChannelName | undefined, entry: Station, message: Incoming): Promise<void> {
      const { topic, payload: bytes, acknowledge } = message;
      const { station } = entry;
      const replyTo = plainReplyTo(bytes);
      const to = replyTo === undefined ? undefined : replyTopic(prefix, entry, replyTo);
      limitedLog.error(
        { station, topic: topic.slice(0, LOGGED_LENGTH) },
        'a message that ended a leader is not read again',
      );
      metrics.unread.inc();
      if (name === undefined || !isRequest(name) || to === undefined) {
        acknowledge?.();
        return bad(topic, 'it ended a leader before');
      }
      await answer({
        name,
        station,
        payload: undefined,
        replyTopic: to,
        dup: true,
        bytes,
        liveness: { silentMs: undefined, heartbeatPeriodMs: undefined },
        isLate: true,
        refusal: 'it came again, and ended the leader that read it',
        acknowledge,
        queueKey: `${station} unread`,
        prepare: async () => undefined,
        awaitSign: async () => undefined,
        decided: async () => undefined,
      });
    },
  };
}
