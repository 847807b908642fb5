/** The words of the AsyncAPI document that belong to no channel of `system_API`; those of the channels: `channels.ts`. */
import { example, type MessageText, message } from './message-text.js';
import { DISCOVERY } from './topics.js';

export const INFO = `The interface between EVerest's \`system_API\` and Khumbu, seen from Khumbu: it receives what a \
station sends and sends what a station hears. Channels, addresses, operations, messages, schemas, enumerations and \
required members are named as in EVerest's own specification. Where EVerest behaves otherwise on the wire, or Khumbu \
takes more or less than the specification promises, the descriptions say so.

- **Frame.** A request that is answered is the JSON object \`{"headers":{"replyTo":"..."},"payload":...}\`, all of it \
in the MQTT payload; MQTT's own response topic is not used. Everything else is the bare JSON value: replies, statuses, \
\`reset\`, \`heartbeat\`, \`communication_check\`.
- **Reply topics.** \`replyTo\` comes without EVerest's \`mqtt_external_prefix\`; Khumbu puts the prefix in front of \
it. Only topics below the station's own \`everest_api/1/system/{module_id}/m2e/reply/\` are answered; a request that \
names another one is refused and nothing is done. A request without \`replyTo\` is served and not answered.
- **Replies.** One valid reply counts. EVerest drops one it cannot read and waits on until its timeout, then assumes \
the default that each request names. Khumbu answers a request it cannot read, or whose decision it cannot store, with \
that default and does nothing.
- **Quality of service.** EVerest publishes with QoS 2 and subscribes with QoS 0, whatever is published; nothing is \
retained. The bindings of the operations are Khumbu's side. What is sent while EVerest restarts is lost, so Khumbu \
holds statuses until the first heartbeat. EVerest speaks MQTT 5.
- **Integers.** The specification says integer. In EVerest ids, tries and seconds are signed 32 bit numbers, and an id \
outside would wrap there without notice; Khumbu refuses such a request.
- **Unknown members** of what a station sends are tolerated everywhere, also where \`additionalProperties\` is false. \
A member that EVerest does not set is absent, never null.`;

export const DISCOVERY_MESSAGES: Readonly<Record<'question' | 'answer' | 'beacon', MessageText>> = {
  question: message(
    'Ask for the modules of one kind',
    'Sent when Khumbu connects, at each ready beacon and for a module it does not know. `replyTo` goes out without ' +
      'prefix; EVerest puts its own in front of it and does not answer a question without one.',
    example('Where to answer', { headers: { replyTo: DISCOVERY.answerTopic('7d0e4d55') } }),
  ),
  answer: message(
    'One module answers',
    'Each module answers on its own, in as many messages as there are modules of the kind.',
    example('A system module', {
      apis: [
        {
          type: 'system',
          module_id: 'system_1',
          version: 1,
          communication_monitoring: {
            heartbeat_period_ms: 1000,
            communication_check_period_s: 5,
            request_reply_timeout_s: 30,
          },
        },
      ],
    }),
  ),
  beacon: message(
    'A station has started',
    'Sent by EVerest, received by Khumbu; the name is that of the specification, which calls the operation send. ' +
      'Once per start, while other modules may not be ready yet: a hint to ask anew.',
    example('The whole message', {}),
  ),
};
