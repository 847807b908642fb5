import {
  SessionSchema,
  type SessionView,
  SignInCodeOrderSchema,
  SignInCodeSchema,
} from '@khumbu/rest-contract/sessions';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Caller } from '../api-keys.js';
import { ref } from '../contract-schemas.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY, WITH_BODY } from '../routing.js';
import type { Session } from '../sessions/session-store.js';
import type { Sessions } from '../sessions/sessions.js';

const CODE_S = 600;

export interface SessionRouteDeps {
  readonly sessions: Sessions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const view = ({ name, scopes }: Caller, session: Session): SessionView => ({
  caller: name,
  scopes: [...scopes],
  signedInWith: 'oidc' in session ? 'oidc' : 'api_key',
  csrfToken: session.csrfToken,
  expiresAt: rfc3339(session.expiresAt),
});

function keyHashOf(caller: Caller | undefined): string {
  if (caller?.keySha256 === undefined) throw new Problem('SESSION_NEEDS_KEY');
  return caller.keySha256;
}

/** `/v1/session`: for pages, which must not hold a key. */
export function sessionRoutes(app: RestApp, { sessions, now }: SessionRouteDeps): void {
  const route = describeRoute({
    id: 'beginSession',
    tag: 'session',
    scope: 'read',
    summary: 'Sign a browser in',
    description:
      'With an API key, or with the code of a link in its place (`khumbu-code.` and the code). The answer sets a cookie that no script can read; whoever has it may what the key may, until it expires or the key is withdrawn.',
    problems: [...WITH_ANY_BODY, 'SESSION_NEEDS_KEY'],
    success: answers(201, 'The session; its cookie is set.', ref(SessionSchema)),
    takes: {},
  });
  app.post('/session', { ...route, config: { ...route.config, takesCode: true } }, async (request, reply) => {
    const caller = request.caller as Caller;
    const { session, cookie } = await sessions.begin({ keySha256: keyHashOf(caller) });
    reply.header('set-cookie', cookie);
    return reply.status(201).send(view(caller, session));
  });

  app.get(
    '/session',
    describeRoute({
      id: 'getSession',
      tag: 'session',
      scope: 'read',
      summary: 'The session of this browser',
      description: 'By its cookie. A request with a key has none.',
      problems: ['NO_SESSION'],
      success: answers(200, 'The session.', ref(SessionSchema)),
      takes: {},
    }),
    async ({ caller }) => {
      if (!caller?.session) throw new Problem('NO_SESSION');
      return view(caller, caller.session);
    },
  );

  app.delete(
    '/session',
    describeRoute({
      id: 'endSession',
      tag: 'session',
      scope: 'read',
      summary: 'Sign out',
      description: 'The session ends, and its cookie is removed. Safe to repeat.',
      problems: WITH_ANY_BODY,
      success: { 204: { description: 'It has ended.', type: 'null' } },
      takes: {},
    }),
    async (request, reply) =>
      reply
        .status(204)
        .header('set-cookie', await sessions.end(request))
        .send(),
  );

  app.post(
    '/session/codes',
    describeRoute({
      id: 'makeSignInCode',
      tag: 'session',
      scope: 'read',
      summary: 'Make a link that signs in once',
      description:
        'For somebody who must not see the key. The code stands behind the # of the link: browsers send that to nobody.',
      problems: [...WITH_BODY, 'SESSION_NEEDS_KEY'],
      success: answers(201, 'The link, below the address of this gateway.', ref(SignInCodeSchema)),
      takes: { body: ref(SignInCodeOrderSchema) },
    }),
    async ({ caller, body }, reply) => {
      const seconds = body.seconds ?? CODE_S;
      const code = await sessions.makeCode(keyHashOf(caller), seconds);
      return reply.status(201).send({ path: `/#sign-in=${code}`, expiresAt: rfc3339(now() + seconds * 1000) });
    },
  );
}
