/** `khumbu bulk`: one order for many stations, by name or by a filter, and what became of it at each. */
import { answered } from '@khumbu/client/client';
import { buildCommand, buildRouteMap, type FlagParametersForType } from '@stricli/core';
import { acting, type CliContext, usage } from '../context.js';
import { openDepot } from '../depot/open-depot.js';
import { mustBeRepeatable } from './bulk-key.js';
import { CONFIRM_FLAGS, type ConfirmFlags, mustBeAnswerable } from './confirm.js';
import { FILTER_FLAGS } from './filter-flag.js';
import { DEPOT_FLAGS, STATION, text, WAIT_FLAGS } from './flags.js';
import { LOG_ORDER_FLAGS, type LogOrderFlags, logOrderOf } from './log-order.js';
import { type BulkFlags, orderMany, targetOf } from './order-many.js';
import { RESET_ORDER_FLAGS, type ResetOrderFlags, resetOrderOf, whatResets } from './reset.js';
import { UPDATE_ORDER_FLAGS, type UpdateOrderFlags, updateOrderOf } from './update-order.js';

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
    brief:
      'A name for this very order: given again within 24 hours nothing is done twice; dates are whole, and nobody is asked',
  },
};

const positional = { kind: 'array', parameter: STATION } as const;
const WHICH =
  'Stations by name, by --filter, or both (those of the names that fit), 2000 at most. Each decides for itself. Ends with 0 if all have accepted, 3 if some refused or none fits; with --wait 1 if it ended badly at some. --json: one object with a result for each station, with --wait also the operations as they ended.';

const logs = buildCommand<BulkFlags & LogOrderFlags, readonly string[], CliContext>({
  docs: { brief: 'Bring the logs of many stations into the depot', fullDescription: WHICH },
  parameters: { flags: { ...BULK_FLAGS, ...LOG_ORDER_FLAGS }, positional },
  func: acting(async (context, flags, ...stations) => {
    mustBeRepeatable(flags);
    const target = targetOf(stations, flags);
    const depot = await openDepot(context, flags);
    const body = logOrderOf(flags);
    await orderMany(context, depot, flags, target, {
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
    mustBeRepeatable(flags);
    const target = targetOf(stations, flags);
    if (!flags.dryRun) mustBeAnswerable(context, flags);
    const depot = await openDepot(context, flags);
    const body = resetOrderOf(flags);
    const warning = `${whatResets(flags.type)}; a car that charges is cut off.`;
    await orderMany(context, depot, flags, target, {
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
    mustBeRepeatable(flags);
    const target = targetOf(stations, flags);
    const { allow, location, image, dryRun } = flags;
    if (!dryRun) mustBeAnswerable(context, flags);
    else if (image !== undefined) throw usage('--dry-run brings no image in: --artifact or --location');
    const depot = await openDepot(context, flags);
    const body = {
      ...(await updateOrderOf(context, depot, flags, location)),
      ...(allow ? { allowInstallation: true } : {}),
    };
    await orderMany(context, depot, flags, target, {
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
