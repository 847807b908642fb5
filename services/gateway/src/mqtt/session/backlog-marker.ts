/**
 * After a connect the broker first delivers what it kept while no gateway was connected. A message to ourselves, published
 * after connecting, comes behind all of that: what arrives before it is backlog.
 */
import { randomUUID } from 'node:crypto';
import type { CommunicationParameters } from '@khumbu/shared/contract/schemas';

/** EVerest's own default. */
const DEFAULT_REPLY_TIMEOUT_S = 550;
/** For what was on its way when the last gateway went, and for the way of the answer. */
const MARGIN_S = 5;

export type BacklogMarker = ReturnType<typeof createBacklogMarker>;

/** `depot` names the topic, which others may see; the client id may be a secret. */
export function createBacklogMarker(depot: string) {
  const nonce = randomUUID();
  let passed = false;
  return {
    topic: `khumbu/fence/khumbu-${depot}`,
    nonce,
    /** A message came on the topic. */
    hear: (payload: Uint8Array): void => {
      if (Buffer.from(payload).toString('utf8') === nonce) passed = true;
    },
    isPassed: (): boolean => passed,
  };
}

/** Pure: whether the station still waits for the answer to a request that may be this old. */
export const stillWaits = (communication: CommunicationParameters | undefined, ageS: number): boolean =>
  (communication?.request_reply_timeout_s ?? DEFAULT_REPLY_TIMEOUT_S) >= ageS + MARGIN_S;
