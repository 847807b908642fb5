/** `khumbu events`: what changes, as it does. */
import type { Event, OperationKind } from '@khumbu/client/generated/rest-api';
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { openDepot } from '../depot/open-depot.js';
import { outcomeText, progressText, waitingText } from '../operations/await-operation.js';
import { plain } from '../output/terminal.js';
import { DEPOT_FLAGS, OPERATION_KINDS, STATION_FLAG, text, whole } from './flags.js';

interface EventsFlags extends DepotFlags, OutputFlags {
  readonly station?: readonly string[];
  readonly kind?: readonly OperationKind[];
  readonly type?: readonly ('operation' | 'station' | 'progress')[];
  readonly after?: string;
  readonly count?: number;
}

/** One line. Pure. */
function eventText(event: Event): string {
  switch (event.type) {
    case 'operation': {
      const { at, stationId, operationId, kind, ended } = event;
      const waits = waitingText(event);
      const stands = ended ? outcomeText(event) : `${event.status}${waits === '' ? '' : `, ${waits}`}`;
      return `${at} ${stationId} ${kind} ${stands} (${operationId})`;
    }
    case 'progress':
      return `${event.at} ${event.stationId} ${event.kind} ${progressText(event)} (${event.operationId})`;
    case 'station': {
      const more = [event.bootReason, event.firmware?.version].filter((part) => part !== undefined).join(', ');
      return `${event.at} ${event.stationId} ${event.change}${more === '' ? '' : ` (${more})`}`;
    }
    case 'gap':
      return `events between ${event.after} and ${event.until} are not kept any more`;
  }
}

export const events = buildCommand<EventsFlags, readonly [], CliContext>({
  docs: {
    brief: 'Follow what changes',
    fullDescription:
      'Until Ctrl-C, over restarts of gateways too. --json: an object a line, {"id": ..., "event": ...}; the id is for --after.',
  },
  parameters: {
    flags: {
      ...DEPOT_FLAGS,
      station: {
        ...STATION_FLAG,
        variadic: true,
        brief: 'Only of this station; may be repeated',
      },
      kind: {
        kind: 'enum',
        values: OPERATION_KINDS,
        optional: true,
        variadic: true,
        brief: 'Only operations of this kind; may be repeated',
      },
      type: {
        kind: 'enum',
        values: ['operation', 'station', 'progress'],
        optional: true,
        variadic: true,
        brief: 'Only of this type; may be repeated',
      },
      after: { kind: 'parsed', parse: text, optional: true, placeholder: 'id', brief: 'First those after this event' },
      count: { kind: 'parsed', parse: whole, optional: true, placeholder: 'number', brief: 'End after so many' },
    },
  },
  func: acting(async (context, { json, after, count = Number.POSITIVE_INFINITY, ...flags }) => {
    const { client } = await openDepot(context, flags);
    const { terminal, signal } = context;
    const over = new AbortController();
    const { station, kind, type } = flags;
    const following = client.follow({
      ...(station === undefined ? {} : { station }),
      ...(kind === undefined ? {} : { kind }),
      ...(type === undefined ? {} : { type }),
      ...(after === undefined ? {} : { lastEventId: after }),
      signal: AbortSignal.any([signal, over.signal]),
      onState: (state) => {
        if (state === 'lost' && !signal.aborted && !over.signal.aborted)
          terminal.say('khumbu: the connection is lost, it is tried again');
      },
    });
    let told = 0;
    for await (const followed of following) {
      await terminal.write(`${json ? JSON.stringify(followed) : plain(eventText(followed.event))}\n`);
      told += 1;
      if (told >= count) over.abort();
    }
    signal.throwIfAborted();
  }),
});
