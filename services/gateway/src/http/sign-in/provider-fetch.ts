/** Requests to the provider: with the authorities of the setting, a time limit for each, and answers of some size. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { CustomFetch } from 'openid-client';
import { Agent, fetch as send } from 'undici';
import { readBounded } from '../bounded-body.js';

const MAX_BYTES = 1024 * 1024;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

export interface ProviderFetchOptions {
  /** PEM; `undefined`: those of Node. */
  readonly authorities: () => string | undefined;
  readonly userAgent: string;
  readonly timeoutMs: number;
}

/** What is wrong, and with a certificate what to do about it. */
function whyNot(error: unknown): string {
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const hint = CERTIFICATE.test(code) ? '; OIDC_CA_FILE names the authority of its certificate' : '';
  return `${describeError(cause)}${hint}`;
}

export function createProviderFetch({ authorities, userAgent, timeoutMs }: ProviderFetchOptions) {
  const closing = new AbortController();
  let agent: Agent | undefined;
  let agentOf: string | undefined;
  const agentNow = (): Agent => {
    const ca = authorities();
    if (agent && ca === agentOf) return agent;
    // What it is still asked for goes on.
    void agent?.close();
    agentOf = ca;
    agent = new Agent(ca === undefined ? {} : { connect: { ca } });
    return agent;
  };

  /** Rejects with `PROVIDER_UNREACHABLE`. The library's own signal is not used: see `deadlineAfter`. */
  const request: CustomFetch = async (url, { body, headers, method }) => {
    const deadline = deadlineAfter(timeoutMs, closing.signal);
    try {
      const response = await send(url, {
        method,
        headers: { ...headers, 'user-agent': userAgent },
        body: (body as URLSearchParams | undefined) ?? null,
        redirect: 'manual',
        signal: deadline.signal,
        dispatcher: agentNow(),
      });
      const bytes = await readBounded(response.body, MAX_BYTES);
      // Some statuses may have no body, not even an empty one.
      return new Response(bytes.length === 0 ? null : bytes, {
        status: response.status,
        headers: [...response.headers],
      });
    } catch (error) {
      const { host, pathname } = new URL(url);
      throw new CodedError('PROVIDER_UNREACHABLE', `${host}${pathname}: ${whyNot(error)}`, { cause: error });
    } finally {
      deadline.clear();
    }
  };
  return {
    request,
    close: (): void => {
      closing.abort();
      void agent?.destroy();
    },
  };
}
