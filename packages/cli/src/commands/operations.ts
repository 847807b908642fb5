/** `khumbu operations`, `wait`, `allow`, `cancel`: what is under way, and what a person may do about it. */
import { answered } from '@khumbu/client/client';
import type { Operation, OperationKind } from '@khumbu/client/generated/rest-api';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { awaitOperation, outcomeText, type WaitFlags, waitingText } from '../operations/await-operation.js';
import { agoText, table } from '../output/shown.js';
import { DEPOT_FLAGS, OPERATION, STATION_FLAG, text, WAIT_FLAGS, whole } from './flags.js';

const KINDS = ['firmware_update', 'log_upload', 'reset', 'configure_network', 'set_system_time'] as const;
const HEAD = ['OPERATION', 'STATION', 'STATUS', 'CHANGED', 'WAITS FOR'];

const rowOf = (operation: Operation, nowMs: number): string[] => [
  operation.operationId,
  operation.stationId,
  operation.ended ? outcomeText(operation) : operation.status,
  agoText(operation.updatedAt, nowMs),
  waitingText(operation).replace(/^waits for /, ''),
];

interface ListFlags extends DepotFlags, OutputFlags {
  readonly station?: string;
  readonly kind?: OperationKind;
  readonly status?: string;
  readonly limit: number;
}

export const operations = buildCommand<ListFlags, readonly [], CliContext>({
  docs: {
    brief: 'Show what is under way and what has ended',
    fullDescription: 'Open ones first, the newest first in each part. --json: an array.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      station: { ...STATION_FLAG, brief: 'Only of this station' },
      kind: { kind: 'enum', values: KINDS, optional: true, brief: 'Only of this kind' },
      status: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'status',
        brief: 'open, ended, or a status as Downloading',
        proposeCompletions: (partial) => ['open', 'ended'].filter((word) => word.startsWith(partial)),
      },
      limit: { kind: 'parsed', parse: whole, default: '20', placeholder: 'number', brief: 'So many, 500 at most' },
    },
  },
  func: acting(async (context, flags) => {
    const depot = await openDepot(context, flags);
    const { station, kind, status, limit } = flags;
    const query = {
      limit,
      ...(station === undefined ? {} : { station }),
      ...(kind === undefined ? {} : { kind }),
      // The depot says which there are.
      ...(status === undefined ? {} : { status: status as 'open' }),
    };
    const { signal, terminal } = context;
    const { items } = await answered(depot.client.GET('/v1/operations', { params: { query }, signal }));
    if (flags.json) terminal.json(items);
    else
      terminal.print(
        table(
          HEAD,
          items.map((operation) => rowOf(operation, Date.now())),
        ),
      );
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
