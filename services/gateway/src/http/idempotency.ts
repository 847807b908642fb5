/**
 * `Idempotency-Key`: a request that is sent again gets the answer it got before. What it asks for is decided once by the
 * intake, under an answer key made of the same key; here the HTTP answer itself is kept. A 503 is no answer and is
 * not kept. draft-ietf-httpapi-idempotency-key-header.
 */
import { createHash } from 'node:crypto';
import type { Keys } from '@khumbu/operations/records/keys';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import { Problem } from './problems.js';

export const IDEMPOTENCY_TTL_MS = 24 * 3600_000;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Keyed {
  readonly caller: string;
  readonly key: string;
  /** Method, path and body: what the key stands for. */
  readonly request: string;
}

const hash = (...parts: string[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** The key under which the intake keeps its answer. */
export const answerKeyOf = ({ caller, key }: Keyed): string => `rest:${hash(caller, key)}`;

export type Idempotency = ReturnType<typeof createIdempotency>;

export function createIdempotency(redis: Redis, keys: Keys) {
  const stored = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw new Problem('NOT_STORED', `the key could not be stored: ${describeError(error)}`, {}, { cause: error });
    }
  };

  return {
    /** The answer that was given before, or `undefined` for the first time. Rejects with `IDEMPOTENCY_KEY_REUSED`. */
    async begin(keyed: Keyed): Promise<HttpAnswer | undefined> {
      const name = keys.restAnswer(hash(keyed.caller, keyed.key));
      const request = hash(keyed.request);
      const replies = await stored(
        redis
          .multi()
          .hsetnx(name, 'request', request)
          .pexpire(name, IDEMPOTENCY_TTL_MS)
          .hmget(name, 'request', 'answer')
          .exec(),
      );
      const [known, answer] = (replies?.[2]?.[1] ?? []) as (string | null)[];
      if (known !== request) {
        const detail = 'idempotency-key was sent with another method, address or body';
        throw new Problem('IDEMPOTENCY_KEY_REUSED', detail, {
          errors: [{ detail, parameter: 'idempotency-key', in: 'header' }],
        });
      }
      return answer ? (JSON.parse(answer) as HttpAnswer) : undefined;
    },

    /**
     * The stations this key stands for: as they were chosen when it came first, so that a repeated request does not choose
     * others from what has changed since. Call it after `begin`.
     */
    async stations(keyed: Keyed, choose: () => Promise<string[]>): Promise<string[]> {
      const name = keys.restAnswer(hash(keyed.caller, keyed.key));
      const known = await stored(redis.hget(name, 'stations'));
      if (known !== null) return JSON.parse(known) as string[];
      const chosen = JSON.stringify(await choose());
      // The same request may have chosen at the same time: the first one counts for both.
      const replies = await stored(
        redis.multi().hsetnx(name, 'stations', chosen).pexpire(name, IDEMPOTENCY_TTL_MS).hget(name, 'stations').exec(),
      );
      return JSON.parse(String(replies?.[2]?.[1])) as string[];
    },

    /** Keep the answer, unless there is one already; resolves with the one that is kept. */
    async end(keyed: Keyed, answer: HttpAnswer): Promise<HttpAnswer> {
      const name = keys.restAnswer(hash(keyed.caller, keyed.key));
      const replies = await stored(
        redis.multi().hsetnx(name, 'answer', JSON.stringify(answer)).hget(name, 'answer').exec(),
      );
      return JSON.parse(String(replies?.[1]?.[1])) as HttpAnswer;
    },
  };
}
