/**
 * What `/v1/events` sends: the `data` of each Server-Sent Event is one of these as JSON, and its `event` is their `type`.
 * The id of an event stands beside it (`id:`), not in it.
 */
import { STATION_CHANGES } from '@khumbu/operations/events/events';
import { BootReason } from '@khumbu/shared/contract/schemas';
import { Type } from 'typebox';
import { count, optionalText, optionalTime, text, time } from './members.js';
import {
  OperationKindSchema,
  OperationStatusSchema,
  OriginSchema,
  OutcomeSchema,
  PROGRESS_MEMBERS,
  WaitingSchema,
} from './operations.js';

const at = time('When it happened.');
const stationId = text('The station.', { examples: ['cs-1'] });
const operationId = text('The operation.', { examples: ['firmware-update-mia0x1c2-5f0c9a7be1'] });

const OperationEventSchema = Type.Object(
  {
    type: Type.Literal('operation'),
    at,
    stationId,
    operationId,
    kind: OperationKindSchema,
    origin: OriginSchema,
    status: OperationStatusSchema,
    version: count('Rises with every change of the operation: of two that arrive, the higher one is newer.'),
    ended: Type.Boolean({ description: 'Nothing more will happen; `outcome` says how it went.' }),
    waitingFor: optionalText('What it waits for, as a stable word. `waiting` says more.', { examples: ['permission'] }),
    waiting: Type.Optional(WaitingSchema),
    outcome: Type.Optional(OutcomeSchema),
  },
  { $id: 'OperationEvent', description: 'An operation has changed.' },
);

const StationEventSchema = Type.Object(
  {
    type: Type.Literal('station'),
    at,
    stationId,
    change: Type.Enum([...STATION_CHANGES], {
      description:
        '`heard`: for the first time. `restarted`: EVerest has started anew. `away`: its heartbeats have stopped; `back`: they go on. `conflict`: two stations use this identity; `conflict_over`. `firmware`: it runs another one, or one that was not known.',
    }),
    bootEpoch: Type.Optional(count('Of `restarted`: boots of EVerest that were noticed.')),
    bootReason: Type.Optional(BootReason),
    firmware: Type.Optional(
      Type.Object(
        {
          version: optionalText('What the station calls it.'),
          slot: optionalText('The slot it runs from, by the station’s own name.'),
          installedAt: optionalTime('When it was installed, by the station’s clock.'),
          by: optionalText('The operation that installed it.'),
        },
        { description: 'Of `firmware`: what it runs.' },
      ),
    ),
  },
  { $id: 'StationEvent', description: 'Something has happened to a station.' },
);

const ProgressEventSchema = Type.Object(
  {
    type: Type.Literal('progress'),
    at,
    stationId,
    operationId,
    kind: OperationKindSchema,
    ...PROGRESS_MEMBERS,
  },
  {
    $id: 'ProgressEvent',
    description: 'How far a transfer or an installation is, about once a second. Without id, never replayed.',
  },
);

const GapEventSchema = Type.Object(
  {
    type: Type.Literal('gap'),
    after: text('Id of the last event that was sent.'),
    until: text('Id of the last event that is not kept any more.'),
  },
  {
    $id: 'GapEvent',
    description:
      'Events between `after` and `until` are not kept any more: read `/v1/stations` and `/v1/operations` anew.',
  },
);

/** Without a mapping a discriminator means the names of the schemas. */
const mapping = {
  operation: '#/components/schemas/OperationEvent',
  station: '#/components/schemas/StationEvent',
  progress: '#/components/schemas/ProgressEvent',
  gap: '#/components/schemas/GapEvent',
};

export const EventSchema = Type.Union([OperationEventSchema, StationEventSchema, ProgressEventSchema, GapEventSchema], {
  $id: 'Event',
  description: 'The `data` of one Server-Sent Event.',
  discriminator: { propertyName: 'type', mapping },
});
