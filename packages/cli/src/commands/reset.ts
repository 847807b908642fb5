/** `khumbu reset`: restart a station, once a person has said so. */
import { answered } from '@khumbu/client/client';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { openDepot } from '../depot/open-depot.js';
import { Failure } from '../failure.js';
import { awaitOperation, type WaitFlags } from '../operations/await-operation.js';
import { DEPOT_FLAGS, STATION, WAIT_FLAGS } from './flags.js';
import { tellEnd } from './operations.js';

interface ResetFlags extends DepotFlags, OutputFlags, WaitFlags {
  readonly type: 'Soft' | 'Hard';
  readonly yes: boolean;
  readonly wait: boolean;
  readonly replace: boolean;
}

async function confirm({ terminal }: CliContext, stationId: string, { yes, type, keyStdin }: ResetFlags) {
  if (yes) return;
  if (!terminal.isAnswering || keyStdin) throw usage('nobody can be asked: --yes says that it may be reset');
  const what = type === 'Hard' ? 'Its host restarts' : 'Its EVerest restarts';
  const answer = await terminal.line(
    `${stationId} will be reset. ${what}; a car that charges is cut off. Type yes: `,
    false,
  );
  if (answer !== 'yes') throw new Failure('interrupted', 'NOT_CONFIRMED', 'nothing was asked of the station');
}

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
      type: {
        kind: 'enum',
        values: ['Soft', 'Hard'],
        default: 'Soft',
        brief: 'Soft: EVerest restarts; Hard: the host',
      },
      yes: { kind: 'boolean', default: false, brief: 'Do not ask' },
      wait: { kind: 'boolean', default: false, brief: 'Wait until it has restarted' },
      ...WAIT_FLAGS,
      replace: { kind: 'boolean', default: false, brief: 'End a reset that EVerest asked for' },
    },
    positional: { kind: 'tuple', parameters: [STATION] },
  },
  func: acting(async (context, flags, stationId) => {
    await confirm(context, stationId, flags);
    const depot = await openDepot(context, flags);
    const { signal, terminal } = context;
    const body = { type: flags.type, ...(flags.replace ? { replace: true } : {}) };
    const params = { path: { stationId } };
    const accepted = await answered(depot.client.POST('/v1/stations/{stationId}/reset', { params, body, signal }));
    if (!flags.wait && flags.timeout === undefined) return tellEnd(context, flags, accepted);
    terminal.say(`${stationId}: ${accepted.operationId}`);
    tellEnd(context, flags, await awaitOperation(context, depot, accepted.operationId, flags));
  }),
});
