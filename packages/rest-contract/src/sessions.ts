/** What REST says of the sessions of browsers. */
import { type Static, Type } from 'typebox';
import { SCOPES } from './api-keys-file.js';
import { closed, text, time } from './members.js';

export const SessionSchema = Type.Object(
  {
    caller: text(
      'Name of the API key it stands for; `oidc:` and a name, of somebody who has signed in at the provider.',
      {
        examples: ['local'],
      },
    ),
    scopes: Type.Array(Type.Enum([...SCOPES]), { description: 'What it may.' }),
    signedInWith: Type.Enum(['api_key', 'oidc'], { description: 'What it was begun with.' }),
    csrfToken: text('To be sent as `X-CSRF-Token` with every request that changes something.'),
    expiresAt: time('When it ends.'),
  },
  { $id: 'Session', description: 'The session of a browser, known by a cookie that no script can read.' },
);
export type SessionView = Static<typeof SessionSchema>;

export const SignInCodeOrderSchema = Type.Object(
  { seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600, description: 'For how long it works.' })) },
  { ...closed, $id: 'SignInCodeOrder', description: 'For how long a code works.', examples: [{ seconds: 600 }] },
);
export const SignInCodeSchema = Type.Object(
  {
    path: text('Opens the page and signs in, once.', { examples: ['/#sign-in=0Zr8...'] }),
    expiresAt: time('Until when.'),
  },
  { $id: 'SignInCode', description: 'A link that signs a browser in.' },
);
