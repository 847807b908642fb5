/** Gates around what the product uses: its Redis connection and its station driver. The product knows nothing of them. */

import { hasCode } from '@khumbu/shared/runtime/errors';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { Redis } from 'ioredis';
import type { GateOptions } from './scheduler.js';

/** Wait for one's turn, then do this. */
export type Pass = <T>(label: string, act: () => Promise<T> | T, options?: GateOptions) => Promise<T>;

type Method = (...args: unknown[]) => unknown;
/** What is not a command. */
const PLAIN = new Set(['defineCommand', 'on', 'once', 'off', 'status', 'options']);

/** Commands are collected at once; the gate is before they are sent. */
function gatePipeline(pipeline: object, label: string, pass: Pass): object {
  const proxy: object = new Proxy(pipeline, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      const method = member.bind(target) as Method;
      if (name === 'exec') return () => pass(label, () => method() as Promise<unknown>);
      return (...args: unknown[]) => {
        method(...args);
        return proxy;
      };
    },
  });
  return proxy;
}

/** A connection each of whose commands waits for its turn. `describe` names a command for the trace. */
export function gateRedis(
  redis: Redis,
  pass: Pass,
  describe: (name: string, args: readonly unknown[]) => string,
): Redis {
  return new Proxy(redis, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || typeof name !== 'string') return member;
      const method = member.bind(target) as Method;
      if (PLAIN.has(name)) return method;
      if (name === 'pipeline' || name === 'multi')
        return (...args: unknown[]) => gatePipeline(method(...args) as object, name, pass);
      return (...args: unknown[]) => pass(describe(name, args), () => method(...args) as Promise<unknown>);
    },
  });
}

/** How often a station is looked at that is busy; the product pauses as long, in real time. */
const LOOK_MS = 15;

/**
 * A driver each of whose acts on the station waits for its turn. Where the product would pause in real time and look
 * again, it is the scheduler's time that passes.
 */
export function gateDriver(
  driver: StationDriver,
  pass: Pass,
  now: () => number,
  began: () => Promise<void>,
): StationDriver {
  const look = async <T>(signal: AbortSignal, ask: () => Promise<T>, again: (answer: T) => boolean): Promise<T> => {
    for (let label = 'look at station'; ; label = 'look again') {
      const from = now() + (label === 'look again' ? LOOK_MS : 0);
      const opens = (): boolean => signal.aborted || now() >= from;
      try {
        const answer = await pass(label, ask, { opens, opensAt: () => from });
        if (!again(answer)) return answer;
      } catch (error) {
        if (signal.aborted || !hasCode(error, 'STATION_UNREACHABLE')) throw error;
      }
      signal.throwIfAborted();
    }
  };
  return {
    ...driver,
    start: (effect, signal) =>
      pass(`start ${effect.step}`, async () => {
        try {
          await driver.start(effect, signal);
        } finally {
          await began();
        }
      }),
    retire: (operationId, signal) => pass('retire', () => driver.retire(operationId, signal)),
    observe: (signal) => pass('observe station', () => driver.observe(signal)),
    observeEffect: (operationId, step, signal) =>
      look(
        signal,
        () => driver.observeEffect(operationId, step, signal),
        (effect) => effect.state === 'running',
      ),
  };
}
