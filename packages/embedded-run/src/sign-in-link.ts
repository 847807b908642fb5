/** The link that signs a browser in, for whoever has started everything. */
const LINK_S = 3600;
const ASK_MS = 10_000;

/** Works once, for an hour. Rejects when the gateway does not make it. */
export async function signInLink(httpUrl: string, apiKey: string): Promise<string> {
  const response = await fetch(`${httpUrl}/v1/session/codes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ seconds: LINK_S }),
    signal: AbortSignal.timeout(ASK_MS),
  });
  if (!response.ok) throw new Error(`the gateway made no link: HTTP ${response.status}`);
  const { path } = (await response.json()) as { path: string };
  return `${httpUrl}${path}`;
}
