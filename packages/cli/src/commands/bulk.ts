/** `khumbu bulk`: one order for many stations, by name or by a filter, and what became of it at each. */
import { answered } from '@khumbu/client/client';
import type { BulkResult, Operation, OperationKind } from '@khumbu/client/generated/rest-api';
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { buildCommand, buildRouteMap, type FlagParametersForType } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import type { WaitFlags } from '../operations/await-operation.js';
import { exitOf, RESULT_HEAD, rowsOf, type SendBulk, sendUntilDecided, type Target } from '../operations/bulk-order.js';
import { awaitOrder } from '../operations/watch-order.js';
import { table } from '../output/shown.js';
import { plain } from '../output/terminal.js';
import { CONFIRM_FLAGS, type ConfirmFlags, confirmed, mustBeAnswerable } from './confirm.js';
import { checkFilter, FILTER_FLAGS, type FilterFlags } from './filter-flag.js';
import { DEPOT_FLAGS, STATION, text, WAIT_FLAGS } from './flags.js';
import { LOG_ORDER_FLAGS, type LogOrderFlags, logOrderOf } from './log-order.js';
import { RESET_ORDER_FLAGS, type ResetOrderFlags, resetOrderOf, whatResets } from './reset.js';
import { UPDATE_ORDER_FLAGS, type UpdateOrderFlags, updateOrderOf } from './update-order.js';

/** Names that are shown before a person says yes. */
const MOST_NAMES = 12;

interface BulkFlags extends DepotFlags, OutputFlags, WaitFlags, FilterFlags {
  readonly title?: string;
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly idempotencyKey?: string;
}

const BULK_FLAGS: FlagParametersForType<BulkFlags, CliContext> = {
  ...DEPOT_FLAGS,
  ...FILTER_FLAGS,
  title: { kind: 'parsed', parse: text, optional: true, placeholder: 'title', brief: 'What all of it is called' },
  dryRun: { kind: 'boolean', default: false, brief: 'Tell what would be answered, and do nothing' },
  wait: { kind: 'boolean', default: false, brief: 'Wait until it has ended at all stations that accept it' },
  ...WAIT_FLAGS,
  idempotencyKey: {
    kind: 'parsed',
    parse: text,
    optional: true,
    placeholder: 'key',
    brief: 'A name for this very order: given again within 24 hours nothing is done twice',
  },
};

/** What is ordered. `warning`: it is asked for before, with these words about each station. */
interface Doing {
  readonly kind: OperationKind;
  readonly send: SendBulk;
  readonly ask?: { readonly flags: ConfirmFlags; readonly what: string; readonly warning: string };
}

function targetOf(stations: readonly string[], { filter }: FilterFlags): Target {
  if (stations.length === 0 && filter === undefined) throw usage('names of stations, --filter or both say which');
  if (filter !== undefined) checkFilter(filter, STATION_FIELDS);
  return {
    ...(stations.length === 0 ? {} : { stations: [...new Set(stations)] }),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** Of the target what a person has said yes to: no station that fits only after the question. */
async function confirmedTarget(
  context: CliContext,
  flags: BulkFlags,
  target: Target,
  ask: NonNullable<Doing['ask']>,
  tried: BulkResult,
): Promise<Target> {
  const { what, warning } = ask;
  const names = tried.results.map(({ stationId }) => plain(stationId));
  const shown = names.length > MOST_NAMES ? `${names.slice(0, MOST_NAMES).join(', ')}, ...` : names.join(', ');
  const refuse = tried.refused === 0 ? '' : `, of which ${tried.refused} would refuse it now`;
  const count = names.length === 1 ? '1 station' : `${names.length} stations`;
  const answer = { ...ask.flags, keyStdin: flags.keyStdin };
  await confirmed(context, answer, `${count} will be ${what} (${shown})${refuse}. ${warning}`);
  return { ...target, stations: tried.results.map(({ stationId }) => stationId) };
}

function sayCounts({ terminal }: CliContext, { orderId, dryRun, total, accepted, refused }: BulkResult): void {
  const counts = `${accepted} accepted, ${refused} refused`;
  terminal.say(total === 0 ? 'no station fits' : dryRun ? `nothing is done: ${counts}` : `${orderId}: ${counts}`);
}

function tell(
  { terminal, ending }: CliContext,
  { json }: OutputFlags,
  result: BulkResult,
  operations?: readonly Operation[],
): void {
  if (json) terminal.json(operations ? { ...result, operations } : result);
  else if (result.total > 0) terminal.print(table(RESULT_HEAD, rowsOf(result, operations)));
  ending.exit = exitOf(result, operations);
}

async function order(
  context: CliContext,
  depot: Depot,
  flags: BulkFlags,
  whole: Target,
  { kind, send, ask }: Doing,
): Promise<void> {
  const { dryRun, title, wait, timeout } = flags;
  const key = flags.idempotencyKey ?? crypto.randomUUID();
  const submit = (target: Target, isTrial: boolean): Promise<BulkResult> =>
    sendUntilDecided(
      context,
      depot,
      { target, ...(title === undefined ? {} : { title }), ...(isTrial ? { dryRun: true } : {}) },
      key,
      send,
    );
  let target = whole;
  if (ask && !ask.flags.yes && !dryRun) {
    const tried = await submit(whole, true);
    // Nothing to say yes to, and so nothing is done, whoever would accept it a moment later.
    if (tried.accepted === 0) {
      sayCounts(context, tried);
      return tell(context, flags, tried);
    }
    target = await confirmedTarget(context, flags, whole, ask, tried);
  }
  const result = await submit(target, dryRun);
  sayCounts(context, result);
  const { orderId } = result;
  const operationIds = result.results.flatMap(({ operationId }) => (operationId === undefined ? [] : [operationId]));
  const isWaiting = (wait || timeout !== undefined) && !dryRun;
  const operations = isWaiting ? await awaitOrder(context, depot, { orderId, kind, operationIds }, flags) : undefined;
  tell(context, flags, result, operations);
}

const positional = { kind: 'array', parameter: STATION } as const;
const WHICH =
  'Stations by name, by --filter, or both (those of the names that fit), 2000 at most. Each decides for itself. Ends with 0 if all have accepted, 3 if some refused or none fits; with --wait 1 if it ended badly at some. --json: one object with a result for each station, with --wait also the operations as they ended.';

const logs = buildCommand<BulkFlags & LogOrderFlags, readonly string[], CliContext>({
  docs: { brief: 'Bring the logs of many stations into the depot', fullDescription: WHICH },
  parameters: { flags: { ...BULK_FLAGS, ...LOG_ORDER_FLAGS }, positional },
  func: acting(async (context, flags, ...stations) => {
    const target = targetOf(stations, flags);
    const depot = await openDepot(context, flags);
    const body = logOrderOf(flags);
    await order(context, depot, flags, target, {
      kind: 'log_upload',
      send: (bulk, key, signal) => {
        const params = { header: { 'idempotency-key': key } };
        return answered(depot.client.POST('/v1/log-uploads', { params, body: { ...bulk, order: body }, signal }));
      },
    });
  }),
});

const reset = buildCommand<BulkFlags & ResetOrderFlags & ConfirmFlags, readonly string[], CliContext>({
  docs: { brief: 'Reset many stations', fullDescription: `Asks before it does; --yes answers. ${WHICH}` },
  parameters: {
    aliases: { y: 'yes' },
    flags: { ...BULK_FLAGS, ...RESET_ORDER_FLAGS, ...CONFIRM_FLAGS },
    positional,
  },
  func: acting(async (context, flags, ...stations) => {
    const target = targetOf(stations, flags);
    if (!flags.dryRun) mustBeAnswerable(context, flags);
    const depot = await openDepot(context, flags);
    const body = resetOrderOf(flags);
    const warning = `${whatResets(flags.type)}; a car that charges is cut off.`;
    await order(context, depot, flags, target, {
      kind: 'reset',
      ask: { flags, what: 'reset', warning },
      send: (bulk, key, signal) => {
        const params = { header: { 'idempotency-key': key } };
        return answered(depot.client.POST('/v1/resets', { params, body: { ...bulk, order: body }, signal }));
      },
    });
  }),
});

interface UpdateFlags extends BulkFlags, UpdateOrderFlags, ConfirmFlags {
  readonly location?: string;
  readonly allow: boolean;
}

const warningOf = ({ allow }: UpdateFlags): string =>
  allow
    ? 'Each installs it as soon as it can; a car that charges is cut off.'
    : 'Each installs it once EVerest or a person allows it.';

const update = buildCommand<UpdateFlags, readonly string[], CliContext>({
  docs: {
    brief: 'Update many stations',
    fullDescription: `From --location (- reads it from stdin, for one with a password), --image or --artifact, as \`khumbu update\`. Asks before it does; --yes answers. ${WHICH}`,
  },
  parameters: {
    aliases: { y: 'yes' },
    flags: {
      ...BULK_FLAGS,
      location: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'location',
        brief: 'Where the image is; - : from stdin',
      },
      ...UPDATE_ORDER_FLAGS,
      allow: { kind: 'boolean', default: false, brief: 'Allow each installation as soon as it can be' },
      ...CONFIRM_FLAGS,
    },
    positional,
  },
  func: acting(async (context, flags, ...stations) => {
    const target = targetOf(stations, flags);
    const { allow, location, image, dryRun } = flags;
    if (!dryRun) mustBeAnswerable(context, flags);
    else if (image !== undefined) throw usage('--dry-run brings no image in: --artifact or --location');
    const depot = await openDepot(context, flags);
    const body = {
      ...(await updateOrderOf(context, depot, flags, location)),
      ...(allow ? { allowInstallation: true } : {}),
    };
    await order(context, depot, flags, target, {
      kind: 'firmware_update',
      ask: { flags, what: 'updated', warning: warningOf(flags) },
      send: (bulk, key, signal) => {
        const params = { header: { 'idempotency-key': key } };
        return answered(depot.client.POST('/v1/firmware-updates', { params, body: { ...bulk, order: body }, signal }));
      },
    });
  }),
});

export const bulk = buildRouteMap({
  docs: {
    brief: 'One order for many stations',
    fullDescription:
      'By name, by a filter, or both, with a result for each. docs/rest-api.md has the language of filters.',
  },
  routes: { update, logs, reset },
});
