/** `khumbu stations`: who is there, what runs on it, what it does and waits for. */
import { answered } from '@khumbu/client/client';
import type { Station } from '@khumbu/client/generated/rest-api';
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { progressText, waitingText } from '../operations/await-operation.js';
import { agoText, table } from '../output/shown.js';
import { checkFilter, FILTER_FLAGS, type FilterFlags } from './filter-flag.js';
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

interface StationsFlags extends DepotFlags, OutputFlags, FilterFlags {
  readonly sort?: 'stationId' | 'lastSeenAt' | 'version';
  readonly reverse: boolean;
}

/** All pages. */
async function allStations({ client }: Depot, flags: StationsFlags, signal: AbortSignal): Promise<Station[]> {
  const { filter, sort = 'stationId', reverse } = flags;
  const chosen = {
    ...(filter === undefined ? {} : { filter }),
    ...(flags.sort === undefined && !reverse ? {} : { sort: reverse ? (`-${sort}` as const) : sort }),
  };
  const stations: Station[] = [];
  let cursor: string | undefined;
  do {
    const query = { ...chosen, limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(client.GET('/v1/stations', { params: { query }, signal }));
    stations.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return stations;
}

export const stations = buildCommand<StationsFlags, readonly [string?], CliContext>({
  docs: {
    brief: 'Show stations: state, version, what they do and wait for',
    fullDescription: 'One station by its id, those that fit --filter, or all. --json: one object, or an array.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      ...FILTER_FLAGS,
      sort: {
        kind: 'enum',
        values: ['stationId', 'lastSeenAt', 'version'],
        optional: true,
        brief: 'In this order; by name if not given',
      },
      reverse: { kind: 'boolean', default: false, brief: 'The other way round' },
    },
    positional: { kind: 'tuple', parameters: [{ ...STATION, optional: true }] },
  },
  func: acting(async (context, flags, stationId) => {
    const { filter } = flags;
    if (filter !== undefined) checkFilter(filter, STATION_FIELDS);
    if (stationId !== undefined && (filter !== undefined || flags.sort !== undefined || flags.reverse))
      throw usage('--filter, --sort and --reverse are for lists: leave the station out');
    const depot = await openDepot(context, flags);
    const { terminal, signal } = context;
    const params = { path: { stationId: stationId ?? '' } };
    const found =
      stationId === undefined
        ? await allStations(depot, flags, signal)
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
