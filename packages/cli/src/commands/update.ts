/** `khumbu update`: one command from an image to a station that runs it. */
import { answered } from '@khumbu/client/client';
import type { Operation } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { type Depot, openDepot } from '../depot/open-depot.js';
import { awaitOperation, type WaitFlags } from '../operations/await-operation.js';
import { DEPOT_FLAGS, STATION, text, WAIT_FLAGS } from './flags.js';
import { allowInstallation, tellEnd } from './operations.js';
import { UPDATE_ORDER_FLAGS, type UpdateOrderFlags, updateOrderOf } from './update-order.js';

interface UpdateFlags extends DepotFlags, OutputFlags, WaitFlags, UpdateOrderFlags {
  readonly wait: boolean;
  readonly allow: boolean;
}

/** Waits for it, and allows the installation when it waits for that. Rejects where it may not be allowed: it goes on. */
async function allowed(context: CliContext, depot: Depot, update: Operation, flags: UpdateFlags): Promise<Operation> {
  const refused = new AbortController();
  const onStanding = ({ waitingFor }: { readonly waitingFor?: string }): void => {
    if (waitingFor !== 'permission') return;
    allowInstallation(depot, update, context.signal).then(
      () => context.terminal.say('allowed'),
      // EVerest may have allowed it in between, or it has ended.
      (error: unknown) => void (isSettled(error) || refused.abort(error)),
    );
  };
  const signal = AbortSignal.any([context.signal, refused.signal]);
  try {
    return await awaitOperation({ ...context, signal }, depot, update.operationId, flags, onStanding);
  } catch (error) {
    refused.signal.throwIfAborted();
    throw error;
  }
}
const isSettled = (error: unknown): boolean => error instanceof ProblemError && error.code === 'NOT_WAITING';

export const update = buildCommand<UpdateFlags, readonly [string, string?], CliContext>({
  docs: {
    brief: 'Update a station',
    fullDescription:
      'From LOCATION (http, https, ftp, ftps, sftp, s3; - reads it from stdin, for one with a password), from a file of this machine (--image), or from what the depot holds (--artifact). EVerest allows the installation once its connectors are free; --allow does so at once, and a car that charges is cut off. Ends with 0 if accepted, with --wait or --allow if installed.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      ...UPDATE_ORDER_FLAGS,
      wait: { kind: 'boolean', default: false, brief: 'Wait until it has ended, with live progress' },
      ...WAIT_FLAGS,
      allow: { kind: 'boolean', default: false, brief: 'Wait, and allow the installation as soon as it can be' },
    },
    positional: {
      kind: 'tuple',
      parameters: [
        STATION,
        { brief: 'Where the image is; - : from stdin', placeholder: 'location', parse: text, optional: true },
      ],
    },
  },
  func: acting(async (context, flags, stationId, location) => {
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const body = await updateOrderOf(context, depot, flags, location);
    const accepted = await answered(
      depot.client.POST('/v1/stations/{stationId}/firmware-updates', { params: { path: { stationId } }, body, signal }),
    );
    if (!flags.wait && !flags.allow && flags.timeout === undefined) {
      tellEnd(context, flags, accepted);
      return;
    }
    terminal.say(`${stationId}: ${accepted.operationId}`);
    const ended = flags.allow
      ? await allowed(context, depot, accepted, flags)
      : await awaitOperation(context, depot, accepted.operationId, flags);
    tellEnd(context, flags, ended);
  }),
});
