/** Ask over REST as a fleet tool does, on a busy machine. */
import { awaitUntil } from './events.js';

/**
 * Ask until the answer is not 503: a gateway that could not decide, or serve, says so, and nothing has happened then. Rejects as
 * `ask` does, and when there is no other answer in time.
 */
export const askUntilServed = (ask: () => Promise<Response>, deadlineMs: number, what: string): Promise<Response> =>
  awaitUntil(
    async () => {
      const response = await ask();
      if (response.status !== 503) return response;
      await response.body?.cancel();
      return undefined;
    },
    deadlineMs,
    `${what} to be served`,
  );
