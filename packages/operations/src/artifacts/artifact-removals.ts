/** The removal of an artefact is announced first, so that no commit builds upon bytes that are about to go. */
import { sleep } from '@khumbu/shared/runtime/abort';
import type { Redis, Result } from 'ioredis';
import type { Keys } from '../records/keys.js';

/** A removal that has not ended by then was killed: it is not waited for any more. */
export const REMOVAL_MS = 60_000;
const LOOK_MS = 100;
/** What a gone one had counted is remembered for as long. */
const REMEMBERED_S = 30 * 24 * 3600;

interface Change {
  readonly keys: Keys;
  readonly guards: [string, string, string][];
}

/** What `removal` of an artefact was when it was read. */
export type RemovalMark = readonly [sha256: string, mark: string];

/** The commit does not take place if a removal has begun since. */
export function expectNotRemoved({ keys, guards }: Change, marks: readonly RemovalMark[]): void {
  for (const [sha256, mark] of marks) guards.push([keys.artifact(sha256), 'removal', mark]);
}

/** `<id> <until>` while it goes on, `<id>` after. */
const underWayUntil = (mark: string): number => Number(mark.split(' ')[1] ?? 0);

const BEGIN_SCRIPT = `
local mark = redis.call('HGET', KEYS[1], 'removal') or ''
local till = tonumber(string.match(mark, ' (%d+)$') or '0')
if till > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'removal', ARGV[1])
return 1`;
/** `ARGV[3]`: the bytes are gone. */
const END_SCRIPT = `
if redis.call('HGET', KEYS[1], 'removal') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'removal', ARGV[2])
if ARGV[3] == '' then return 1 end
redis.call('ZREM', KEYS[4], ARGV[3])
redis.call('SREM', KEYS[5], ARGV[3])
local locations = redis.call('HGETALL', KEYS[6])
for i = 1, #locations, 2 do
  if locations[i + 1] == ARGV[3] then redis.call('HDEL', KEYS[6], locations[i]) end
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[4]) end
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuBeginRemoval(artifact: string, mark: string, now: string): Result<number, Context>;
    khumbuEndRemoval(
      artifact: string,
      sources: string,
      stations: string,
      artifacts: string,
      brought: string,
      broughtLocations: string,
      mark: string,
      ended: string,
      sha256: string,
      rememberedS: string,
    ): Result<number, Context>;
  }
}

export function createArtifactRemovals(redis: Redis, keys: Keys, now: () => number) {
  redis.defineCommand('khumbuBeginRemoval', { lua: BEGIN_SCRIPT, numberOfKeys: 1 });
  redis.defineCommand('khumbuEndRemoval', { lua: END_SCRIPT, numberOfKeys: 6 });

  const ended = (sha256: string, mark: string, isGone: boolean): Promise<number> =>
    redis.khumbuEndRemoval(
      keys.artifact(sha256),
      keys.artifactSources(sha256),
      keys.artifactStations(sha256),
      keys.artifacts,
      keys.broughtArtifacts,
      keys.broughtLocations,
      mark,
      mark.split(' ')[0] ?? '',
      isGone ? sha256 : '',
      String(REMEMBERED_S),
    );

  return {
    /**
     * Resolves when no removal is under way, with what a commit that builds upon its bytes has to expect; at once for a removal
     * whose process must be dead.
     */
    async settled(sha256: string, signal: AbortSignal): Promise<RemovalMark> {
      for (;;) {
        const mark = (await redis.hget(keys.artifact(sha256), 'removal')) ?? '';
        if (underWayUntil(mark) <= now()) return [sha256, mark];
        await sleep(LOOK_MS, signal);
        signal.throwIfAborted();
      }
    },
    /** From now on no commit builds upon its bytes. `undefined`: another removal is under way. */
    async beginRemoval(sha256: string, id: string): Promise<string | undefined> {
      const mark = `${id} ${Math.round(now() + REMOVAL_MS)}`;
      const isOurs = (await redis.khumbuBeginRemoval(keys.artifact(sha256), mark, String(Math.round(now())))) === 1;
      return isOurs ? mark : undefined;
    },
    /** It stays. */
    async giveUpRemoval(sha256: string, mark: string): Promise<void> {
      await ended(sha256, mark, false);
    },
    /** Its bytes are gone: it is not listed any more, nor used for any location. */
    async endRemoval(sha256: string, mark: string): Promise<void> {
      await ended(sha256, mark, true);
    },
  };
}
