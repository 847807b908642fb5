/** Stations as REST shows them, and what EVerest is answered there. */
import { BootReason, ResetType } from '@khumbu/shared/contract/schemas';
import { LabelName, LabelValue } from '@khumbu/shared/stations/stations-file';
import { type Static, Type } from 'typebox';
import { closed, count, nextCursor, optionalText, optionalTime, text, time, total } from './members.js';
import { OperationSchema } from './operations.js';

export const StationSchema = Type.Object(
  {
    stationId: text('The station.', { examples: ['cs-1'] }),
    moduleId: optionalText('Id of the `system_API` module of its EVerest.'),
    configured: Type.Boolean({ description: 'false: not in the stations file; listed, never touched.' }),
    driver: optionalText('How it is reached.', { examples: ['simulated'] }),
    type: optionalText('What it is, by the stations file or as it was set over REST.', { examples: ['dc-180'] }),
    labels: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Groups it belongs to, by the stations file and as they were set over REST, which wins.',
        examples: [{ site: 'north' }],
      }),
    ),
    ownLabels: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Those of them that were set over REST.' }),
    ),
    dialect: Type.Enum(['ocpp1.6', 'ocpp2.x', 'unknown'], { description: 'What its OCPP module speaks.' }),
    conflict: Type.Boolean({ description: 'Two stations use this identity: nothing is done with either.' }),
    refusedBecause: Type.Optional(
      Type.Enum(['not_listed', 'no_driver', 'conflict'], {
        description:
          'Why nothing is done with it: it is not in the stations file, it is listed there without a driver, or two stations use its identity. Absent: it is served.',
      }),
    ),
    presence: Type.Enum(['here', 'away', 'never_heard'], {
      description:
        'Whether its EVerest is heard. `away`: its heartbeats have stopped. One without heartbeats that was heard once counts as `here`.',
    }),
    away: Type.Boolean({ description: 'Its EVerest is not there: `presence` is `away` or `never_heard`.' }),
    bootEpoch: count('Boots of EVerest that were noticed.'),
    bootReason: Type.Optional(BootReason),
    firstSeenAt: optionalTime('When it was first heard; absent: never.'),
    lastSeenAt: optionalTime('When it was last heard.'),
    firmware: Type.Optional(
      Type.Object(
        {
          version: optionalText('What the station calls it.', { examples: ['2026.4'] }),
          slot: optionalText('The slot it runs from, by the station’s own name.', { examples: ['B'] }),
          installedAt: optionalTime(
            'When it was installed, by the station’s clock; where an operation of ours did it.',
          ),
          by: optionalText('The operation that installed it; absent: none of ours.', {
            examples: ['firmware-update-mia0x1c2-5f0c9a7be1'],
          }),
          observedAt: time('When the station said so.'),
          ageS: count(
            'Seconds since then. It is looked at after every install and boot, and every `OBSERVE_INTERVAL_S`.',
          ),
        },
        { description: 'What it runs, as it said last; absent: it was not asked yet. Reading this asks no station.' },
      ),
    ),
    operations: Type.Array(OperationSchema, { description: 'What is under way.' }),
  },
  { $id: 'Station', description: 'One EVerest instance with `system_API`.' },
);
export type StationView = Static<typeof StationSchema>;

export const StationPageSchema = Type.Object(
  {
    items: Type.Array(StationSchema, { description: 'By name, where no other order was asked for.' }),
    total,
    nextCursor,
  },
  { $id: 'StationPage', description: 'A page of stations.' },
);
export const StationGroupsOrderSchema = Type.Object(
  {
    type: Type.Optional(
      Type.Union([LabelValue, Type.Null()], { description: 'What it is; null: as the stations file says.' }),
    ),
    labels: Type.Optional(
      Type.Record(LabelName, Type.Union([LabelValue, Type.Null()]), {
        ...closed,
        maxProperties: 64,
        description: 'Labels to be set; null takes away what was set over REST.',
      }),
    ),
  },
  {
    ...closed,
    $id: 'StationGroupsOrder',
    description: 'What changes of a station’s type and labels, RFC 7396. What is not named stays.',
    examples: [{ type: 'dc-180', labels: { site: 'north', row: null } }],
  },
);
export const ResetPermissionSchema = Type.Object(
  {
    type: ResetType,
    allowed: Type.Boolean({ description: 'Whether EVerest would be allowed this reset now.' }),
    reason: optionalText('Why not.', { examples: ['installing'] }),
  },
  { $id: 'ResetPermission', description: 'Whether a reset would be allowed.' },
);
export const BootReasonViewSchema = Type.Object(
  {
    bootEpoch: count('Which boot.'),
    bootReason: BootReason,
    told: Type.Boolean({ description: 'false: EVerest has not asked in this boot, so nothing is known (Unknown).' }),
  },
  { $id: 'BootReasonView', description: 'What EVerest is told about its start.' },
);
