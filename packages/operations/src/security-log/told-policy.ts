/**
 * Keys and policies in the security log: files that services follow, and policies that are settings. What each service had last is
 * remembered in Redis, so that a change is told once, by whichever of its processes sees it first, also when it was made while all of
 * them were off. Who changed a file nobody can say: the cause is the file.
 */
import { createHash } from 'node:crypto';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { FileContent } from '@khumbu/shared/runtime/followed-file';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import type { Redis, Result } from 'ioredis';
import type { Now } from '../clock/depot-clock.js';
import type { Keys } from '../records/keys.js';
import type { SecurityFact } from './entry.js';

/** Lines of a change that are shown. */
const LINES_SHOWN = 50;
const PAUSES_MS = [1000, 5000, 30_000];

const TELL_SCRIPT = `
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('RPUSH', KEYS[2], ARGV[4])
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuTellPolicy(
      policies: string,
      pending: string,
      field: string,
      before: string,
      after: string,
      fact: string,
    ): Result<number, Context>;
  }
}

const shown = (lines: readonly string[]): readonly string[] =>
  lines.length <= LINES_SHOWN ? lines : [...lines.slice(0, LINES_SHOWN), `and ${lines.length - LINES_SHOWN} more`];

/** `undefined`: it is as it was. Pure. */
export function policyFact(
  service: string,
  setting: string,
  before: FileContent | undefined,
  after: FileContent,
  at: number,
): SecurityFact | undefined {
  if (before?.sha256 === after.sha256) return undefined;
  const added = before ? after.lines.filter((line) => !before.lines.includes(line)) : [];
  const removed = before ? before.lines.filter((line) => !after.lines.includes(line)) : [];
  return {
    at,
    what: before ? 'policy_changed' : 'policy_first_seen',
    phase: 'done',
    by: { cause: 'file', name: service },
    details: {
      setting,
      sha256: after.sha256,
      ...(before ? { before: before.sha256 } : {}),
      ...(added.length > 0 ? { added: shown(added) } : {}),
      ...(removed.length > 0 ? { removed: shown(removed) } : {}),
    },
  };
}

/** Of a policy that is in the settings: `names` has their names. Pure. */
export function settingsContent(names: object, config: object): FileContent {
  const values = new Map<string, unknown>(Object.entries(config));
  const lines = Object.keys(names).map((name) => `${name}=${JSON.stringify(values.get(name) ?? null)}`);
  return { sha256: createHash('sha256').update(lines.join('\n')).digest('hex'), lines };
}

/** `names`: an object with the settings of a policy as its members. None of them may be a secret. */
export type TellSettings = (names: object, config: object) => void;

export interface PolicyDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly service: string;
  readonly now: Now;
  readonly log: Logger;
}

export function followPolicies({ redis, keys, service, now, log }: PolicyDeps) {
  redis.defineCommand('khumbuTellPolicy', { lua: TELL_SCRIPT, numberOfKeys: 2 });
  const stopping = new AbortController();
  /** One after the other: of two changes the newer one is stored last. */
  let telling = Promise.resolve();

  const tellOnce = async (setting: string, after: FileContent): Promise<void> => {
    const field = `${service}:${setting}`;
    for (;;) {
      const stored = (await redis.hget(keys.securityPolicies, field)) ?? '';
      const before = stored === '' ? undefined : (JSON.parse(stored) as FileContent);
      const fact = policyFact(service, setting, before, after, now().wall);
      if (!fact) return;
      const args = [field, stored, JSON.stringify(after), JSON.stringify(fact)] as const;
      if ((await redis.khumbuTellPolicy(keys.securityPolicies, keys.securityPending, ...args)) === 1) return;
    }
  };
  /** Resolves when it is told, or was given up because this process stops. */
  const tell = (setting: string, content: FileContent): Promise<void> => {
    const again = (error: unknown): void =>
      log.warn({ setting, reason: describeError(error) }, 'a change of policy is not in the security log yet');
    telling = telling.then(() =>
      retryUntil(() => tellOnce(setting, content), {
        pausesMs: PAUSES_MS,
        signal: stopping.signal,
        onFailure: again,
      }).catch(again),
    );
    return telling;
  };
  const tellSettings: TellSettings = (names, config) => void tell('location policy', settingsContent(names, config));
  return { tell, tellSettings, stop: (): void => stopping.abort() };
}
