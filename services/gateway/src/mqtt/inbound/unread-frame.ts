/** What can be known of a frame that is not decoded, because decoding it may have ended a leader. */
import type { E2mChannelName, RequestChannelName } from '@khumbu/shared/contract/channels';
import { REQUESTS } from './request-table.js';

/** EVerest's frame, not taken apart: a name that is written inside a text of it has its quotes escaped. */
export function plainReplyTo(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return /"replyTo"\s{0,8}:\s{0,8}"([^"\\]{1,300})"/.exec(text)?.[1];
}

export const isRequest = (name: E2mChannelName): name is RequestChannelName => Object.hasOwn(REQUESTS, name);
