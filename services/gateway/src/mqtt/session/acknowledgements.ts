/**
 * Acknowledges in the order of arrival, whatever the order of finishing (MQTT 5, 4.6), unless a message says otherwise.
 *
 * Goes through a private call of mqtt.js (`_sendPacket`); its public way acknowledges one message at a time, which costs
 * most of the throughput. A test shows that it works.
 */

export interface PrivateSender {
  _sendPacket(packet: { cmd: 'puback'; messageId: number; reasonCode: number }, sent: () => void): void;
}

/** A message that is not acknowledged yet, or was ahead of its turn. */
interface OpenMessage {
  readonly messageId: number;
  done: boolean;
  sent: boolean;
  /** Those behind it are acknowledged before it. */
  isAside: boolean;
  next: OpenMessage | undefined;
}

export function createAcknowledgements(client: PrivateSender) {
  // A list and no array: thousands may wait, and taking the first of an array moves all others.
  let first: OpenMessage | undefined;
  let last: OpenMessage | undefined;
  const send = (message: OpenMessage): void => {
    const { messageId } = message;
    if (!message.sent) client._sendPacket({ cmd: 'puback', messageId, reasonCode: 0 }, () => undefined);
    message.sent = true;
  };
  const passOn = (): void => {
    for (; first && (first.done || first.isAside); first = first.next) if (first.done) send(first);
    if (!first) last = undefined;
  };
  const finish = (message: OpenMessage): void => {
    message.done = true;
    if (message.isAside) send(message);
    passOn();
  };
  return {
    take(messageId: number) {
      const message: OpenMessage = { messageId, done: false, sent: false, isAside: false, next: undefined };
      if (last) last.next = message;
      else first = message;
      last = message;
      return {
        /** The work is done: in its turn. */
        finished: (): void => finish(message),
        /**
         * Now: while Redis is out, an old message whose work waits must not keep what was refused from being acknowledged.
         * Safe to repeat.
         */
        ahead: (): void => {
          send(message);
          finish(message);
        },
        /** Its work may take long: all behind it are acknowledged before it. */
        aside: (): void => {
          message.isAside = true;
          passOn();
        },
      };
    },
  };
}
