/** `fetch` that asks again where that is safe. */
import { newIdempotencyKey } from './idempotency-key.js';
import { pause } from './pause.js';
import { problemOf } from './problem-error.js';
import { pauseBefore } from './retries.js';

export interface PatientFetchOptions {
  readonly fetch: (request: Request) => Promise<Response>;
  /** For how long a request is asked again, in milliseconds since its first try. */
  readonly retryForMs: number;
}

/** A POST or PUT is made safe to repeat by its `Idempotency-Key`: the same key does nothing twice. */
const NEEDS_KEY: ReadonlySet<string> = new Set(['POST', 'PUT']);

export const createPatientFetch =
  ({ fetch, retryForMs }: PatientFetchOptions) =>
  async (request: Request): Promise<Response> => {
    const until = performance.now() + retryForMs;
    const isOrder = NEEDS_KEY.has(request.method);
    // What streams can be sent once; an order is small text.
    const isRepeatable = !isOrder || request.headers.get('content-type')?.startsWith('application/json') === true;
    if (isOrder && isRepeatable && !request.headers.has('idempotency-key'))
      request.headers.set('idempotency-key', newIdempotencyKey());
    if (!isRepeatable) return fetch(request);
    for (let tried = 1; ; tried += 1) {
      let response: Response | undefined;
      let lost: unknown;
      try {
        response = await fetch(request.clone());
        if (response.status < 400) return response;
      } catch (error) {
        if (request.signal.aborted) throw error;
        lost = error;
      }
      const pauseMs = pauseBefore(tried, response && (await problemOf(response.clone())), Math.random());
      if (pauseMs === undefined || performance.now() + pauseMs > until) {
        if (response) return response;
        throw lost;
      }
      await pause(pauseMs, request.signal);
    }
  };
