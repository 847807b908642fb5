/** Webhooks over REST: what is registered, and what could not be delivered. */
import { type Static, Type } from 'typebox';
import { closed, count, optionalText, optionalTime, text, time } from './members.js';

const KeySchema = Type.Object(
  {
    id: text('Id of the key.'),
    createdAt: time('When it was made.'),
    expiresAt: optionalTime('Until when messages are signed by it as well; absent: the key in use.'),
  },
  { description: 'A key that messages are signed by; the secret itself is told once, when it is made.' },
);

const members = {
  id: text('Id of the webhook.', { examples: ['wh_0a1b2c3d4e5f'] }),
  url: text('Where messages go: the origin, and `/…` for the rest, which may hold secrets.', {
    examples: ['https://csms.example/…'],
  }),
  title: optionalText('For people.'),
  filter: optionalText('Which events it is told, in the language of filters; absent: every event.', {
    examples: ['event = operation and ended = true'],
  }),
  paused: Type.Boolean({ description: 'Nothing is sent; what happens waits.' }),
  gone: Type.Boolean({ description: 'Its receiver has answered 410 and wants no more; `PUT` lets it go on.' }),
  keys: Type.Array(KeySchema, { description: 'The newest first, two at most: messages are signed by all of them.' }),
  createdAt: time('When it was registered.'),
  createdBy: optionalText('Who registered it.'),
  waiting: count('Messages that wait or are on their way.'),
  deadLetters: count('Messages whose tries are used up.'),
  droppedDeadLetters: count('Dead letters that made room for newer ones.'),
};
export const WebhookSchema = Type.Object(members, {
  $id: 'Webhook',
  description: 'Events of the depot are told to it, signed as Standard Webhooks has it, in order for each station.',
});
export type WebhookView = Static<typeof WebhookSchema>;

export const WebhookPageSchema = Type.Object(
  { items: Type.Array(WebhookSchema) },
  { $id: 'WebhookPage', description: 'All webhooks, the oldest first.' },
);

const secret = text('The key in use: `whsec_` and base64. It is told this once.', {
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
});
export const NewWebhookSchema = Type.Object(
  { ...members, secret },
  { $id: 'NewWebhook', description: 'A webhook with the secret of its newest key.' },
);

export const WebhookOrderSchema = Type.Object(
  {
    url: text(
      'Where messages go, by POST. Judged by the policy of locations. In a `PUT` also as `GET` shows it: as it is.',
      {
        minLength: 1,
        maxLength: 2000,
        pattern: '^https?://',
      },
    ),
    title: Type.Optional(Type.String({ maxLength: 200, description: 'For people.' })),
    filter: Type.Optional(Type.String({ maxLength: 2000, description: 'Which events; absent: every event.' })),
    paused: Type.Optional(Type.Boolean({ description: 'Nothing is sent for now. Default: false.' })),
  },
  {
    ...closed,
    $id: 'WebhookOrder',
    description: 'What a webhook is to be.',
    examples: [{ url: 'https://csms.example/hooks/khumbu', filter: 'event = operation and ended = true' }],
  },
);

const LONGEST_OVERLAP_S = 30 * 86_400;
export const WebhookKeyOrderSchema = Type.Object(
  {
    overlapS: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LONGEST_OVERLAP_S,
        description: 'Seconds for which messages are signed by the key before as well. Default: a day.',
      }),
    ),
  },
  { ...closed, $id: 'WebhookKeyOrder', description: 'Another key.', examples: [{ overlapS: 86_400 }] },
);

export const DeadLetterPageSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        id: text('Id of the message, as in `webhook-id`.'),
        stationId: optionalText('The station it is about.'),
        type: text('Type of the event.'),
        at: time('When it was given up.'),
        tries: count('How often it was tried.'),
        reason: text('Why the last try failed.', { examples: ['http_500', 'refused', 'location_refused'] }),
        message: text('The same for people.'),
        event: Type.Unknown({ description: 'The event, as `GET /v1/events` tells it.' }),
      }),
      { description: 'The oldest first.' },
    ),
  },
  { $id: 'DeadLetterPage', description: 'Messages whose tries are used up, 1000 at most.' },
);

export const WebhookResendSchema = Type.Object(
  { resent: count('So many are on their way again, behind what waits for their stations.') },
  { $id: 'WebhookResend', description: 'What is sent again.' },
);
