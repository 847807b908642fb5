/** One request for many stations, and what became of it at each. */
import { MOST_CHARACTERS } from '@khumbu/filter/parse-filter';
import { type Static, type TSchema, Type } from 'typebox';
import { closed, count, optionalText, text } from './members.js';
import { FirmwareUpdateOrderSchema, LogUploadOrderSchema, ResetOrderSchema } from './orders.js';
import { ProblemSchema } from './problem.js';

/** Stations of one bulk order. */
export const MOST_STATIONS = 2000;

const Target = Type.Object(
  {
    stations: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        minItems: 1,
        maxItems: MOST_STATIONS,
        uniqueItems: true,
        description: 'These stations.',
      }),
    ),
    filter: optionalText('Stations that fit this filter; with `stations` those of them that do.', {
      minLength: 1,
      maxLength: MOST_CHARACTERS,
      examples: ['label.site = north and version < 2.1'],
    }),
  },
  {
    ...closed,
    anyOf: [{ required: ['stations'] }, { required: ['filter'] }],
    description: `Which stations: by name, by a filter, or both; ${MOST_STATIONS} at most.`,
  },
);
export type BulkTarget = Static<typeof Target>;

const bulk = <S extends TSchema>(order: S, $id: string, example: object) =>
  Type.Object(
    {
      target: Target,
      order,
      title: optionalText('What all of it is called; the title of each order that has none.', {
        minLength: 1,
        maxLength: 200,
      }),
      dryRun: Type.Optional(Type.Boolean({ description: 'true: decide, and do nothing.' })),
    },
    { ...closed, $id, description: 'The same order for many stations.', examples: [example] },
  );

const target = { filter: 'label.site = north' };
export const BulkFirmwareUpdateOrderSchema = bulk(FirmwareUpdateOrderSchema, 'BulkFirmwareUpdateOrder', {
  target,
  title: 'North to 2.1',
  order: { location: 'https://files.example/charger-2.1.raucb', retries: 3 },
});
export const BulkLogUploadOrderSchema = bulk(LogUploadOrderSchema, 'BulkLogUploadOrder', {
  target,
  order: { type: 'DiagnosticsLog', oldest_timestamp: '2026-11-21T00:00:00Z' },
});
export const BulkResetOrderSchema = bulk(ResetOrderSchema, 'BulkResetOrder', {
  target: { stations: ['cs-1', 'cs-2'] },
  order: { type: 'Soft' },
  dryRun: true,
});

export const BulkResultSchema = Type.Object(
  {
    orderId: text('Its operations have this `orderId`: `filter=orderId = ...` finds them.', {
      examples: ['bulk-5f0c9a7be1d24c11'],
    }),
    title: optionalText('What it is called.'),
    dryRun: Type.Boolean({ description: 'true: nothing of it was done.' }),
    total: count('Stations of the target.'),
    accepted: count('Stations at which it was accepted.'),
    refused: count('Stations at which it was not.'),
    results: Type.Array(
      Type.Object({
        stationId: text('The station.'),
        status: Type.Integer({
          description: 'The status that an order for this station alone would have been answered with.',
        }),
        operationId: optionalText('The operation; absent where there is none, as for a dry run.'),
        problem: Type.Optional(ProblemSchema),
      }),
      { description: 'By name.' },
    ),
  },
  { $id: 'BulkResult', description: 'What became of one order at each of many stations.' },
);
export type BulkResult = Static<typeof BulkResultSchema>;
