/**
 * `/sign-in`: addresses that browsers are sent to, with no key and no body. They are no part of REST; what goes wrong comes
 * back to the page, which has a text for it.
 */
import { fastifyRateLimit } from '@fastify/rate-limit';
import type { SignInFailure, SignInMethods } from '@khumbu/rest-contract/sign-in';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createRateLimitedLog } from '../../rate-limited-log.js';
import { Problem } from '../problems.js';
import type { Sessions } from '../sessions/sessions.js';
import { failureOf, reasonOf, SignInFailed } from '../sign-in/failures.js';
import { LONGEST_PLACE, noPendingCookie, PLACE, pendingCookie, pendingOf } from '../sign-in/pending-cookie.js';
import type { Provider } from '../sign-in/provider.js';
import { CALLBACK_PATH } from '../sign-in/settings.js';
import type { Audit } from '../submit-operation.js';

const BEGIN_PATH = '/sign-in/oidc';
const SIGN_OUT_PATH = '/sign-in/oidc/sign-out';
/** Of one address: with each the provider is asked something. */
const RETURNS_PER_MINUTE = 120;
const START = '#/';
/** No browser has to have been at the provider for these. */
const CAUSED_BY_ANYBODY: ReadonlySet<SignInFailure> = new Set(['SIGN_IN_LOST', 'TOO_MANY']);

export interface SignInRouteDeps {
  /** `undefined`: keys alone. */
  readonly provider: Provider | undefined;
  readonly sessions: Sessions;
  readonly audit: Audit;
  readonly log: Logger;
}

/** No route of the document: browsers are sent there, tools have no use for them. */
const hidden = { hide: true };

const queryOf = ({ raw: { url = '' } }: FastifyRequest): string => url.split('?').slice(1).join('?');

function oidcRoutes(app: FastifyInstance, provider: Provider, { sessions, audit, log }: SignInRouteDeps): void {
  const { isSecure } = provider;
  const limitedLog = createRateLimitedLog(log);
  const countReturn = app.createRateLimit({
    max: RETURNS_PER_MINUTE,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => request.ip,
  });

  /** Back to the page with a word for what went wrong. Rejects with what is a surprise. */
  const fail = (request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply => {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    const { id: requestId, ip: from } = request;
    const said = CAUSED_BY_ANYBODY.has(failure) ? limitedLog : log;
    said.warn({ requestId, from, failure, reason: reasonOf(error) }, 'somebody could not sign in at the provider');
    const place = `/#sign-in-failed=${failure}&request=${encodeURIComponent(requestId)}`;
    return reply.header('set-cookie', noPendingCookie(isSecure)).redirect(place, 303);
  };

  const query = {
    type: 'object',
    properties: { return: { type: 'string', pattern: PLACE, maxLength: LONGEST_PLACE } },
  };
  app.get<{ Querystring: { return?: string } }>(
    BEGIN_PATH,
    { schema: { ...hidden, querystring: query } },
    async (request, reply) => {
      try {
        const { url, pending } = await provider.begin(request.query.return ?? START);
        return reply.header('set-cookie', pendingCookie(isSecure, pending)).redirect(url, 303);
      } catch (error) {
        return fail(request, reply, error);
      }
    },
  );

  const signIn = async (request: FastifyRequest): Promise<{ readonly cookie: string; readonly place: string }> => {
    const pending = pendingOf(isSecure, request.headers.cookie);
    const sent = queryOf(request);
    // Before the provider is asked anything: who sends a browser here knows nothing of its cookie.
    if (!pending || new URLSearchParams(sent).get('state') !== pending.state)
      throw new SignInFailed('SIGN_IN_LOST', 'the state is of no sign-in that this browser has begun');
    // Not before: others who have the same address, as all have behind a proxy, would be kept out by what anybody can send.
    const count = await countReturn(request);
    if (!count.isAllowed && count.isExceeded)
      throw new SignInFailed('TOO_MANY', `more than ${RETURNS_PER_MINUTE} came back in a minute from this address`);
    const { identity, caller } = await provider.finish(sent, pending);
    const { cookie, session } = await sessions.begin({ oidc: identity }, isSecure);
    request.caller = { ...caller, session };
    audit(request, 'sign_in', '', { outcome: 'done', subject: identity.subject, scopes: caller.scopes.join(' ') });
    return { cookie, place: pending.place };
  };
  // HEAD would use the code up.
  app.get(CALLBACK_PATH, { schema: hidden, exposeHeadRoute: false }, async (request, reply) => {
    try {
      const { cookie, place } = await signIn(request);
      return reply.header('set-cookie', [noPendingCookie(isSecure), cookie]).redirect(`/${place}`, 303);
    } catch (error) {
      return fail(request, reply, error);
    }
  });

  app.get(SIGN_OUT_PATH, { schema: hidden }, async (_request, reply) => {
    const url = provider.signOutUrl();
    if (url === undefined) throw new Problem('NOT_FOUND', 'The provider has no address for signing out.');
    return reply.redirect(url, 303);
  });
}

export async function signInRoutes(app: FastifyInstance, deps: SignInRouteDeps): Promise<void> {
  const { provider } = deps;
  app.get('/sign-in/methods', { schema: hidden }, async (): Promise<SignInMethods> => {
    if (!provider) return {};
    const hasSignOut = provider.signOutUrl() !== undefined;
    return {
      provider: {
        name: provider.name,
        path: BEGIN_PATH,
        ...(hasSignOut ? { signOutPath: SIGN_OUT_PATH } : {}),
      },
    };
  });
  if (!provider) return;
  await app.register(async (scope) => {
    await scope.register(fastifyRateLimit, { global: false });
    oidcRoutes(scope, provider, deps);
  });
}
