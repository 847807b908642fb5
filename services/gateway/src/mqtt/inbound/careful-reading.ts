/**
 * A message that the broker delivers again may have ended the leader that read it: it is marked before it is read. Not so a
 * message that is too small to do harm, and a request that this process has answered before.
 */
import { channel, type E2mChannelName, isRequest, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { parseApiTopic } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import type { Incoming } from '../session/incoming.js';
import { answerKeyOf } from './answering.js';
import { plainReplyTo, type Redelivered } from './redelivered.js';
import type { Refusals } from './refusals.js';
import { channelOf, type OnMessage } from './router.js';

/** A reset, or a permission. */
const HARMLESS_BYTES = 1024;

type Deps = Pick<Core, 'prefix' | 'registry' | 'replyCache'> & {
  readonly refusals: Refusals;
  readonly redelivered: Redelivered;
};

export function createCarefulReading(deps: Deps, onMessage: OnMessage): OnMessage {
  const { prefix, registry, replyCache, refusals, redelivered } = deps;

  const isAnswered = (station: string, name: E2mChannelName, { payload }: Incoming): boolean => {
    const replyTo = isRequest(name) ? plainReplyTo(payload) : undefined;
    return (
      replyTo !== undefined && replyCache.find(station, answerKeyOf(name as RequestChannelName, replyTo)) !== undefined
    );
  };

  return (message, how) => {
    const api = message.dup ? parseApiTopic(prefix, message.topic) : undefined;
    const name = api?.type === 'system' ? channelOf(api.leaf) : undefined;
    const isHarmless = message.payload.length <= HARMLESS_BYTES && !(name && channel(name).reply);
    if (!api || isHarmless || (name && isAnswered(api.station, name, message))) return onMessage(message, how);
    const refuse = (): Promise<void> => {
      const entry = api.type === 'system' ? registry.meet(api)?.entry : undefined;
      return entry
        ? refusals.refuseUnread(name, entry, message)
        : refusals.refuse(name, api, message, undefined, 'it ended a leader before');
    };
    const read = (isRead: () => void): Promise<void> | void => {
      const releasePlace = (): void => {
        message.releasePlace?.();
        isRead();
      };
      return onMessage({ ...message, releasePlace }, how);
    };
    return redelivered.take(api.station, message, read, refuse);
  };
}
