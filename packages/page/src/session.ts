/** The session of this browser, and the client that uses it. The key itself is kept nowhere. */
import { answered, createKhumbuClient, type KhumbuClient } from '@khumbu/client/client';
import type { Session } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';

const CODE = /^#sign-in=([\w-]+)$/;
const FAILED = /^#sign-in-failed=([A-Z_]+)&request=((?:[\w.-]|%3A)+)$/;
/** What a gateway takes for a place of the page, and how much of it. */
const PLACE = /^#\/[A-Za-z0-9/?=&%:@+,;.!$'()*_~-]*$/;
const LONGEST_PLACE = 1024;

export interface SignedIn {
  readonly session: Session;
  readonly khumbu: KhumbuClient;
}

const signedIn = (session: Session): SignedIn => ({
  session,
  khumbu: createKhumbuClient({
    baseUrl: location.origin,
    headers: () => ({ 'x-csrf-token': session.csrfToken }),
  }),
});

/** Rejects with `ProblemError`, `NOT_AUTHENTICATED` for a wrong key. */
export async function signIn(key: string): Promise<SignedIn> {
  const client = createKhumbuClient({ baseUrl: location.origin, key: () => key });
  return signedIn(await answered(client.POST('/v1/session')));
}

/** With the code of a link, which is taken out of the address at once. `undefined`: the address has none. */
export async function signInByLink(): Promise<SignedIn | undefined> {
  const code = CODE.exec(location.hash)?.[1];
  if (code === undefined) return undefined;
  history.replaceState(null, '', '#/');
  return signIn(`khumbu-code.${code}`);
}

/** Why signing in at the provider came to nothing, taken out of the address at once. `undefined`: the address says nothing of it. */
export function signInFailure(): { readonly failure: string; readonly requestId: string } | undefined {
  const [, failure, requestId] = FAILED.exec(location.hash) ?? [];
  if (failure === undefined || requestId === undefined) return undefined;
  history.replaceState(null, '', '#/');
  return { failure, requestId: decodeURIComponent(requestId) };
}

/** At which one may sign in beside a key. */
export interface Provider {
  /** For people. */
  readonly name: string;
  readonly path: string;
  /** Absent: it has no address for signing out, or was not reached yet. */
  readonly signOutPath?: string;
}

/** Where one may sign in beside a key. `undefined`: nowhere. Rejects when the gateway cannot be asked. */
export async function findProvider(): Promise<Provider | undefined> {
  const response = await fetch('/sign-in/methods');
  if (!response.ok) throw new Error(`the gateway answers with status ${response.status}`);
  return ((await response.json()) as { readonly provider?: Provider }).provider;
}

/** Leads to the provider, and then back to this place of the page, or to its start where a gateway does not take the place. Pure. */
export const addressOf = ({ path }: Provider, place: string): string =>
  place.length <= LONGEST_PLACE && PLACE.test(place) ? `${path}?return=${encodeURIComponent(place)}` : path;

/** The session that there is. */
export async function findSession(): Promise<SignedIn | undefined> {
  const client = createKhumbuClient({ baseUrl: location.origin });
  try {
    return signedIn(await answered(client.GET('/v1/session')));
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'NOT_AUTHENTICATED') return undefined;
    throw error;
  }
}

export const signOut = async ({ khumbu }: SignedIn): Promise<void> => {
  await answered(khumbu.DELETE('/v1/session'));
};
