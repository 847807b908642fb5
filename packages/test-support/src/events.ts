/** The only waiting allowed in tests: for something to happen, with a deadline that says what did not. */
import type { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';

const POLL_MS = 10;

/** Deadlines are given for a machine with nothing else to do; on a busy one everything takes several times as long. */
const BUSY_FACTOR = 6;
const LONGEST_STRETCHED_MS = 180_000;
const stretched = (deadlineMs: number): number =>
  Math.max(deadlineMs, Math.min(deadlineMs * BUSY_FACTOR, LONGEST_STRETCHED_MS));

const inVain = (waitMs: number, what: string | (() => string)): Error =>
  new Error(`waited ${waitMs} ms in vain: ${typeof what === 'string' ? what : what()}`);

/** Settle as the promise does, or reject after `waitMs`. */
async function unlessLate<T>(promise: Promise<T>, waitMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), waitMs);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ask again and again until the answer is neither `undefined`, `null` nor `false`; resolves with it. A `check` that
 * throws ends the wait at once, one that never answers ends it at the deadline. `what` may look at what there is when the wait ends. For things that send no event of
 * their own; prefer {@link nextEvent} or a collector.
 */
export async function awaitUntil<T>(
  check: () => T | Promise<T>,
  deadlineMs: number,
  what: string | (() => string),
): Promise<Exclude<T, undefined | null | false>> {
  const waitMs = stretched(deadlineMs);
  const end = performance.now() + waitMs;
  for (;;) {
    const asked = check();
    const answer =
      asked instanceof Promise
        ? await unlessLate<T>(asked, Math.max(0, end - performance.now()), () => inVain(waitMs, what))
        : asked;
    if (answer !== undefined && answer !== null && answer !== false) {
      return answer as Exclude<T, undefined | null | false>;
    }
    if (performance.now() >= end) {
      throw inVain(waitMs, what);
    }
    await delay(POLL_MS);
  }
}

/** The arguments of the next event of that name that `accept` takes. Call it before the act, await it after. */
export function nextEvent(
  source: EventEmitter | MqttClient,
  name: string,
  deadlineMs: number,
  accept: (...args: unknown[]) => boolean = () => true,
): Promise<unknown[]> {
  const emitter = source as EventEmitter;
  let listener: (...args: unknown[]) => void = () => {};
  const event = new Promise<unknown[]>((resolve) => {
    listener = (...args) => void (accept(...args) && resolve(args));
    emitter.on(name, listener);
  });
  return within(event, deadlineMs, `event ${name}`).finally(() => emitter.off(name, listener));
}

/** Settle as the promise does, or reject after the deadline. */
export function within<T>(promise: Promise<T>, deadlineMs: number, what: string | (() => string)): Promise<T> {
  const waitMs = stretched(deadlineMs);
  return unlessLate(promise, waitMs, () => inVain(waitMs, what));
}

/**
 * Everything that came, in order, and ways to wait for what has not come yet. `describe` shows what did come when a wait
 * ends in vain.
 */
export function collector<T>(describe: (item: T) => string = (item) => JSON.stringify(item)) {
  const items: T[] = [];
  const waiting = new Set<() => void>();

  async function when<R>(look: () => { found: R } | undefined, deadlineMs: number, what: string): Promise<R> {
    let again = (): void => {};
    const found = new Promise<R>((resolve) => {
      again = () => {
        const answer = look();
        if (answer) resolve(answer.found);
      };
    });
    waiting.add(again);
    again();
    const seen = (): string => items.slice(-20).map(describe).join(', ');
    const all = (): string => `${what}; ${items.length} came, at last: ${seen()}`;
    return within(found, deadlineMs, all).finally(() => waiting.delete(again));
  }

  return {
    items: items as readonly T[],
    push(item: T): void {
      items.push(item);
      for (const again of waiting) again();
    },
    /** The first item, past or future, that `accept` takes. */
    awaitItem(accept: (item: T) => boolean, deadlineMs: number, what: string): Promise<T> {
      let looked = 0;
      return when(
        () => {
          while (looked < items.length) {
            const item = items[looked++] as T;
            if (accept(item)) return { found: item };
          }
          return undefined;
        },
        deadlineMs,
        what,
      );
    },
    /** Wait until the whole list satisfies `enough`; resolves with a copy of the list. */
    awaitAll: (enough: (items: readonly T[]) => boolean, deadlineMs: number, what: string): Promise<T[]> =>
      when(() => (enough(items) ? { found: [...items] } : undefined), deadlineMs, what),
  };
}
