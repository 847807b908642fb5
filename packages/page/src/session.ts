/** The session of this browser, and the client that uses it. The key itself is kept nowhere. */
import { answered, createKhumbuClient, type KhumbuClient } from '@khumbu/client/client';
import type { Session } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';

const CODE = /^#sign-in=([\w-]+)$/;

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
