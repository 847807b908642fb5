/** `khumbu stations`: who is there, what runs on it, what it does and waits for. */
import { answered } from '@khumbu/client/client';
import type { Station } from '@khumbu/client/generated/rest-api';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { progressText, waitingText } from '../operations/await-operation.js';
import { agoText, table } from '../output/shown.js';
import { DEPOT_FLAGS, STATION } from './flags.js';

const doing = ({ operations }: Station): string =>
  operations
    .map((operation) => {
      const more = [progressText(operation.progress ?? {}), waitingText(operation)].filter((part) => part !== '');
      return [`${operation.kind} ${operation.status}`, ...more].join(', ');
    })
    .join('; ');

const rowOf = (station: Station, nowMs: number): string[] => [
  station.stationId,
  station.refusedBecause ?? station.presence,
  station.firmware?.version ?? '',
  station.driver ?? '',
  station.dialect,
  agoText(station.lastSeenAt, nowMs),
  doing(station),
];
const HEAD = ['STATION', 'STATE', 'VERSION', 'DRIVER', 'OCPP', 'HEARD', 'DOES'];

/** All pages. */
async function allStations({ client }: Depot, signal: AbortSignal): Promise<Station[]> {
  const stations: Station[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(client.GET('/v1/stations', { params: { query }, signal }));
    stations.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return stations;
}

export const stations = buildCommand<DepotFlags & OutputFlags, readonly [string?], CliContext>({
  docs: {
    brief: 'Show stations: state, version, what they do and wait for',
    fullDescription: 'One station by its id, or all. --json: one object, or an array of all.',
  },
  parameters: {
    flags: DEPOT_FLAGS,
    positional: { kind: 'tuple', parameters: [{ ...STATION, optional: true }] },
  },
  func: acting(async (context, flags, stationId) => {
    const depot = await openDepot(context, flags);
    const { terminal, signal } = context;
    const params = { path: { stationId: stationId ?? '' } };
    const found =
      stationId === undefined
        ? await allStations(depot, signal)
        : [await answered(depot.client.GET('/v1/stations/{stationId}', { params, signal }))];
    if (flags.json) terminal.json(stationId === undefined ? found : found[0]);
    else
      terminal.print(
        table(
          HEAD,
          found.map((station) => rowOf(station, Date.now())),
        ),
      );
  }),
});
