/** `khumbu reset`: restart a station, once a person has said so. */
import { answered } from '@khumbu/client/client';
import type { ResetOrder } from '@khumbu/client/generated/rest-api';
import { buildCommand, type FlagParametersForType } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { openDepot } from '../depot/open-depot.js';
import { awaitOperation, type WaitFlags } from '../operations/await-operation.js';
import { CONFIRM_FLAGS, type ConfirmFlags, confirmed } from './confirm.js';
import { DEPOT_FLAGS, STATION, WAIT_FLAGS } from './flags.js';
import { tellEnd } from './operations.js';

export interface ResetOrderFlags {
  readonly type: 'Soft' | 'Hard';
  readonly replace: boolean;
}
export const RESET_ORDER_FLAGS: FlagParametersForType<ResetOrderFlags, CliContext> = {
  type: {
    kind: 'enum',
    values: ['Soft', 'Hard'],
    default: 'Soft',
    brief: 'Soft: EVerest restarts; Hard: the host',
  },
  replace: { kind: 'boolean', default: false, brief: 'End a reset that EVerest asked for' },
};
export const whatResets = (type: ResetOrderFlags['type']): string =>
  type === 'Hard' ? 'Its host restarts' : 'Its EVerest restarts';
export const resetOrderOf = ({ type, replace }: ResetOrderFlags): ResetOrder => ({
  type,
  ...(replace ? { replace: true } : {}),
});

interface ResetFlags extends DepotFlags, OutputFlags, WaitFlags, ConfirmFlags, ResetOrderFlags {
  readonly wait: boolean;
}

const confirm = (context: CliContext, stationId: string, flags: ResetFlags): Promise<void> =>
  confirmed(context, flags, `${stationId} will be reset. ${whatResets(flags.type)}; a car that charges is cut off.`);

export const reset = buildCommand<ResetFlags, readonly [string], CliContext>({
  docs: {
    brief: 'Reset a station',
    fullDescription:
      'Asks before it does; --yes answers. A reset is refused while an update is being installed. Ends with 0 if accepted, with --wait if the station has restarted.',
  },
  parameters: {
    aliases: { y: 'yes' },
    flags: {
      ...DEPOT_FLAGS,
      ...RESET_ORDER_FLAGS,
      ...CONFIRM_FLAGS,
      wait: { kind: 'boolean', default: false, brief: 'Wait until it has restarted' },
      ...WAIT_FLAGS,
    },
    positional: { kind: 'tuple', parameters: [STATION] },
  },
  func: acting(async (context, flags, stationId) => {
    await confirm(context, stationId, flags);
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const body = resetOrderOf(flags);
    const params = { path: { stationId } };
    const accepted = await answered(depot.client.POST('/v1/stations/{stationId}/reset', { params, body, signal }));
    if (!flags.wait && flags.timeout === undefined) return tellEnd(context, flags, accepted);
    terminal.say(`${stationId}: ${accepted.operationId}`);
    tellEnd(context, flags, await awaitOperation(context, depot, accepted.operationId, flags));
  }),
});
