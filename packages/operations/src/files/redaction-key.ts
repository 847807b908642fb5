/**
 * The key of the pseudonyms in redacted logs, which all services of a depot share in Redis: one card has one pseudonym in all archives.
 * Who deletes it cuts the archives that are made from then on off from those before.
 */
import { randomBytes } from 'node:crypto';
import { sleep } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

type KeyStore = Pick<Redis, 'set' | 'get'>;
type KeyName = Pick<Keys, 'redactionKey'>;

/** As many as pseudonyms need: with fewer, all keys could be tried. */
const SHORTEST = 32;
const newKey = (): string => randomBytes(32).toString('base64url');

function checked(key: string, name: string): string {
  if (key.length >= SHORTEST) return key;
  throw new CodedError(
    'REDACTION_KEY_SHORT',
    `the key of pseudonyms has fewer than ${SHORTEST} characters: delete ${name} in Redis, and a new one is made; or set a longer one`,
  );
}

/**
 * Made when it is asked for first. Rejects when Redis is not there, or takes no writes and has none; with REDACTION_KEY_SHORT where
 * somebody has set one of fewer than 32 characters.
 */
export async function redactionKey(redis: KeyStore, { redactionKey: name }: KeyName): Promise<string> {
  // Where it is there already nothing is written: services start while Redis takes no more.
  const known = await redis.get(name);
  if (known !== null) return checked(known, name);
  await redis.set(name, newKey(), 'NX');
  const key = await redis.get(name);
  if (key === null) throw new Error('the key of pseudonyms was deleted while it was read');
  return checked(key, name);
}

export interface FollowDeps {
  readonly redis: KeyStore;
  readonly keys: KeyName;
  readonly life: Pick<Lifecycle, 'onStop'>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** How often it is read again, and how soon where it could not be. */
  readonly everyMs?: number;
  readonly againMs?: number;
}

/**
 * For as long as a process lives: what it resolves with returns the key that was read last, so that one that was deleted, and made anew by
 * another process, is followed. Resolves after the first try, and never rejects: a Redis that takes no writes must not keep a service from
 * starting. Until the key has been read it is one of this process, whose pseudonyms nobody can compare with those of others.
 */
export async function followRedactionKey({
  redis,
  keys,
  life,
  log,
  everyMs = 60_000,
  againMs = 5000,
}: FollowDeps): Promise<() => string> {
  let current = newKey();
  let failure: string | undefined;
  const stopping = new AbortController();
  const { signal } = stopping;

  const read = async (): Promise<void> => {
    try {
      current = await redactionKey(redis, keys);
      if (failure !== undefined) log.info('the key of pseudonyms is there');
      failure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const reason = describeError(error);
      // Once for each reason: it may last for days.
      if (reason !== failure)
        log.warn({ err: error }, 'no key of pseudonyms: those in errors are of this process alone until it is there');
      failure = reason;
    }
  };
  const follow = async (): Promise<void> => {
    for (;;) {
      await sleep(failure === undefined ? everyMs : againMs, signal);
      if (signal.aborted) return;
      await read();
    }
  };

  life.onStop('the key of pseudonyms', () => stopping.abort());
  await read();
  void follow();
  return () => current;
}
