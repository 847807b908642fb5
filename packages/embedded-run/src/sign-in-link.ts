/** The link that signs a browser in, for whoever has started everything. */
import { describeError } from '@khumbu/shared/runtime/errors';

const LINK_S = 3600;
const ASK_MS = 10_000;

/** Where the page is, and how one gets in: by a link that works once, for an hour, or without one by the key. Never rejects. */
export async function pageOf(httpUrl: string, apiKey: string): Promise<string> {
  try {
    return `${await signInLink(httpUrl, apiKey)}  (signs in once, within an hour; later: the API key)`;
  } catch (error) {
    return `${httpUrl}/  (sign in with the API key; there is no link: ${describeError(error)})`;
  }
}

/** Rejects when the gateway cannot be asked, or refuses. */
export async function signInLink(httpUrl: string, apiKey: string): Promise<string> {
  const response = await fetch(`${httpUrl}/v1/session/codes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ seconds: LINK_S }),
    signal: AbortSignal.timeout(ASK_MS),
  });
  if (!response.ok) throw new Error(`the gateway answered HTTP ${response.status}`);
  const { path } = (await response.json()) as { path: string };
  return `${httpUrl}${path}`;
}
