/** `khumbu operations`, `wait`, `allow`, `cancel`: what is under way, and what a person may do about it. */
import { answered } from '@khumbu/client/client';
import type { Operation, OperationKind } from '@khumbu/client/generated/rest-api';
import { OPERATION_FILTER } from '@khumbu/rest-contract/filters';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { awaitOperation, outcomeText, type WaitFlags, waitingText } from '../operations/await-operation.js';
import { agoText, table } from '../output/shown.js';
import { checkFilter, FILTER_FLAGS, type FilterFlags } from './filter-flag.js';
import {
  DEPOT_FLAGS,
  type GivenDate,
  OPERATION,
  OPERATION_KINDS,
  optionalPast,
  STATION_FLAG,
  text,
  WAIT_FLAGS,
  whole,
} from './flags.js';

const HEAD = ['OPERATION', 'STATION', 'STATUS', 'CHANGED', 'WAITS FOR'];

const rowOf = (operation: Operation, nowMs: number): string[] => [
  operation.operationId,
  operation.stationId,
  operation.ended ? outcomeText(operation) : operation.status,
  agoText(operation.updatedAt, nowMs),
  waitingText(operation).replace(/^waits for /, ''),
];

interface ListFlags extends DepotFlags, OutputFlags, FilterFlags {
  readonly station?: string;
  readonly kind?: OperationKind;
  readonly status?: string;
  readonly sort?: 'createdAt' | 'updatedAt';
  readonly reverse: boolean;
  readonly since?: GivenDate;
  readonly until?: GivenDate;
  readonly limit: number;
}

/** Without what is not given. The depot knows which statuses there are. Throws a `Failure` for a filter that cannot be read. */
function queryOf({ station, kind, status, filter, sort, reverse, since, until, limit }: ListFlags) {
  if (filter !== undefined) checkFilter(filter, OPERATION_FILTER);
  if (reverse && sort === undefined) throw usage('--reverse needs --sort');
  return {
    limit,
    ...(station === undefined ? {} : { station }),
    ...(kind === undefined ? {} : { kind }),
    ...(status === undefined ? {} : { status: status as 'open' }),
    ...(filter === undefined ? {} : { filter }),
    ...(sort === undefined ? {} : { sort: reverse ? (`-${sort}` as const) : sort }),
    ...(since === undefined ? {} : { since: since.at }),
    ...(until === undefined ? {} : { until: until.at }),
  };
}

export const operations = buildCommand<ListFlags, readonly [], CliContext>({
  docs: {
    brief: 'Show what is under way and what has ended',
    fullDescription:
      'Open ones first, the newest first in each part, where --sort says nothing else. --json: an array.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      station: { ...STATION_FLAG, brief: 'Only of this station' },
      kind: { kind: 'enum', values: OPERATION_KINDS, optional: true, brief: 'Only of this kind' },
      status: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'status',
        brief: 'open, ended, or a status as Downloading',
        proposeCompletions: (partial) => ['open', 'ended'].filter((word) => word.startsWith(partial)),
      },
      ...FILTER_FLAGS,
      sort: {
        kind: 'enum',
        values: ['createdAt', 'updatedAt'],
        optional: true,
        brief: 'In this order, the oldest first',
      },
      reverse: { kind: 'boolean', default: false, brief: 'The other way round' },
      since: optionalPast('Only what was asked for from this date on, or so long ago: 2h, 3d'),
      until: optionalPast('Only what was asked for before this date, or so long ago'),
      limit: { kind: 'parsed', parse: whole, default: '20', placeholder: 'number', brief: 'So many, 500 at most' },
    },
  },
  func: acting(async (context, flags) => {
    const query = queryOf(flags);
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const { items, nextCursor } = await answered(depot.client.GET('/v1/operations', { params: { query }, signal }));
    if (flags.json) terminal.json(items);
    else
      terminal.print(
        table(
          HEAD,
          items.map((operation) => rowOf(operation, Date.now())),
        ),
      );
    if (nextCursor !== undefined) terminal.say(`khumbu: there are more than ${items.length}: --limit, --filter`);
  }),
});

const read = ({ client }: Depot, operationId: string, signal: AbortSignal): Promise<Operation> =>
  answered(client.GET('/v1/operations/{operationId}', { params: { path: { operationId } }, signal }));

/** The last word on an operation: an object, or its id; badly ended ones set the exit code. */
export function tellEnd({ terminal, ending }: CliContext, { json }: OutputFlags, operation: Operation): void {
  if (json) terminal.json(operation);
  else terminal.print(operation.operationId);
  if (operation.ended && operation.outcome?.ok !== true) ending.exit = 'failed';
}

type OperationCommandFlags = DepotFlags & OutputFlags;

export const wait = buildCommand<OperationCommandFlags & WaitFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Wait until an operation has ended, with live progress',
    fullDescription: 'Ends with 0 if it ended well, 1 if badly. --json: the operation as it ended.',
  },
  parameters: {
    flags: { ...DEPOT_FLAGS, ...WAIT_FLAGS },
    positional: { kind: 'tuple', parameters: [OPERATION] },
  },
  func: acting(async (context, flags, operationId) => {
    const depot = await openDepot(context, flags);
    tellEnd(context, flags, await awaitOperation(context, depot, operationId, flags));
  }),
});

export const allowInstallation = ({ client }: Depot, { stationId, operationId }: Operation, signal: AbortSignal) =>
  answered(
    client.POST('/v1/stations/{stationId}/firmware-updates/{operationId}/allow-installation', {
      params: { path: { stationId, operationId } },
      signal,
    }),
  );

export const allow = buildCommand<OperationCommandFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Allow an update that waits for permission to be installed',
    fullDescription: 'In place of EVerest, which allows it once no car charges: its connectors may be in use.',
  },
  parameters: { flags: DEPOT_FLAGS, positional: { kind: 'tuple', parameters: [OPERATION] } },
  func: acting(async (context, flags, operationId) => {
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const allowed = await allowInstallation(depot, await read(depot, operationId, signal), signal);
    if (flags.json) terminal.json(allowed);
    else terminal.print(operationId);
  }),
});

function cancelOf({ client }: Depot, { kind, stationId, operationId }: Operation, signal: AbortSignal) {
  const request = { params: { path: { stationId, operationId } }, signal };
  switch (kind) {
    case 'firmware_update':
      return answered(client.DELETE('/v1/stations/{stationId}/firmware-updates/{operationId}', request));
    case 'log_upload':
      return answered(client.DELETE('/v1/stations/{stationId}/log-uploads/{operationId}', request));
    default:
      throw new Failure('unsupported', 'NOT_CANCELABLE', `a ${kind} cannot be canceled`);
  }
}

export const cancel = buildCommand<OperationCommandFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Cancel an update or a log upload',
    fullDescription: 'One that has ended stays as it is; an update that is being installed cannot be canceled.',
  },
  parameters: { flags: DEPOT_FLAGS, positional: { kind: 'tuple', parameters: [OPERATION] } },
  func: acting(async (context, flags, operationId) => {
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const canceled = await cancelOf(depot, await read(depot, operationId, signal), signal);
    if (flags.json) terminal.json(canceled);
    else terminal.print(outcomeText(canceled));
  }),
});
