/** What the reply figures share: a depot without proxies, stations that ask, and the responder that answers at once. */
import { join } from 'node:path';
import { type Depot, startDepot } from '@khumbu/chaos/depot/depot';
import { type Remote, startRemote } from './load/remote.js';
import type { ConnectOptions } from './load/requester.js';
import type { ResponderOptions } from './load/responder.js';
import type { BenchContext } from './row.js';

/** Between the stations and the responder. */
export const BARE = 'bare/';

export interface Stage {
  readonly depot: Depot;
  /** Stations that ask Khumbu, and the same stations that ask the responder. */
  readonly ours: Remote;
  readonly bare: Remote;
}

export const stationNames = (count: number, group = 'station'): string[] =>
  Array.from({ length: count }, (_, index) => `${group}-${index}`);

/** Everybody is connected, known, and asked nothing yet. */
export async function setStage(
  context: BenchContext,
  stations: readonly string[],
  replies: ResponderOptions['replies'],
  options: Partial<Parameters<typeof startDepot>[1]> = {},
): Promise<Stage> {
  const started = await startDepot(context, {
    dir: join(context.dir, 'depot'),
    // Without system-control no reset is allowed.
    services: ['gateway-1', 'system-control-1'],
    proxies: false,
    ...options,
  });
  await started.leader();
  const url = started.mqttUrl;
  const responder = await startRemote(context, 'responder');
  await responder.call('start', { url, prefix: BARE, replies } satisfies ResponderOptions);
  const connect = async (prefix: string): Promise<Remote> => {
    const requester = await startRemote(context, 'requester');
    await requester.call('connect', { url, prefix, stations } satisfies ConnectOptions);
    return requester;
  };
  const ours = await connect('');
  const bare = await connect(BARE);
  await ours.call('beat');
  return { depot: started, ours, bare };
}

/** Measure one after the other, as often as wanted, each time in the other order. */
export async function interleaved<T>(
  pairs: number,
  ours: (round: number) => Promise<T>,
  baseline: (round: number) => Promise<T>,
): Promise<{ ours: T[]; baseline: T[] }> {
  const results: { ours: T[]; baseline: T[] } = { ours: [], baseline: [] };
  for (let round = 0; round < pairs; round++) {
    const oursFirst = round % 2 === 0;
    if (oursFirst) results.ours.push(await ours(round));
    results.baseline.push(await baseline(round));
    if (!oursFirst) results.ours.push(await ours(round));
  }
  return results;
}
