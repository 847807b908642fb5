/** What the depot's security log gives to archives: what was done at the station and in the whole depot, and the newest entry of all. */
import type { LogWindow } from '@khumbu/operations/kinds/log-upload/window';
import type { Keys } from '@khumbu/operations/records/keys';
import { readHead } from '@khumbu/operations/security-log/chain-writer';
import type { ChainPoint } from '@khumbu/operations/security-log/entry';
import { entriesConcerning, matches } from '@khumbu/operations/security-log/read-entries';
import type { Redis } from 'ioredis';

export interface SecurityLogReader {
  /**
   * One JSON line for each entry in the window that is of the station or of the whole depot (keys and policies), as it is chained: each
   * can be checked by its own hash. Entries stand in the order in which facts were told, so the date of each counts.
   */
  readonly entries: (station: string, window: LogWindow) => AsyncIterable<string>;
  readonly head: () => Promise<ChainPoint>;
}

export const securityLogOf = (redis: Redis, keys: Keys): SecurityLogReader => ({
  async *entries(station, { oldest, latest }) {
    const filter = { since: oldest?.getTime(), until: latest?.getTime() };
    for await (const entry of entriesConcerning(redis, keys, station))
      if (matches(filter, entry)) yield `${JSON.stringify(entry)}\n`;
  },
  head: () => readHead(redis, keys),
});
