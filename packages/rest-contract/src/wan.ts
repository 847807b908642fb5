/** What REST says of the link to the world. */
import { type Static, Type } from 'typebox';
import { closed, count, optionalText, optionalTime, text, time } from './members.js';

export const WanSchema = Type.Object(
  {
    timeZone: text('Time zone of the depot (`DEPOT_TIME_ZONE`).', { examples: ['Europe/Berlin'] }),
    rateLimitBytesPerS: Type.Optional(count('Bytes per second for all transfers together; absent: no limit.')),
    updateBudgetBytes: Type.Optional(count('Bytes that one update may fetch; absent: no limit.')),
    paused: Type.Boolean({ description: 'An operator has paused all downloads.' }),
    pausedSince: optionalTime('Since when.'),
    pausedBy: optionalText('Who.'),
    window: Type.Object(
      {
        times: Type.Array(Type.String(), {
          description: 'Times of day between which images are fetched (`DOWNLOAD_WINDOW`); none: always.',
          examples: [['22:00-06:00']],
        }),
        open: Type.Boolean({ description: 'Images are fetched now.' }),
        until: optionalTime('When that changes; absent: never.'),
      },
      { description: 'When images are fetched.' },
    ),
    month: Type.Object(
      {
        name: text('Year and month at the depot.', { examples: ['2026-11'] }),
        endsAt: time('When the next one begins.'),
        downloadedBytes: count('Bytes of images that came.'),
        uploadedBytes: count('Bytes of log archives that were sent to servers.'),
        claimedBytes: count('Bytes that running downloads have still to come.'),
        budgetBytes: Type.Optional(count('Bytes that may come and go; absent: no limit.')),
        budgetBy: optionalText('Who has set this budget in place of that of the settings.'),
      },
      { description: 'What went over the link this month: bytes of content, without heads and TLS.' },
    ),
  },
  { $id: 'Wan', description: 'The link to the world: its limits, and what keeps downloads.' },
);
export type WanView = Static<typeof WanSchema>;

export const WanBudgetOrderSchema = Type.Object(
  {
    budgetBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Literal('unlimited')], {
      description: 'Bytes that may come and go in the month that is now, or `unlimited`.',
    }),
  },
  {
    ...closed,
    $id: 'WanBudgetOrder',
    description: 'Another budget for this month.',
    examples: [{ budgetBytes: 5_000_000_000 }],
  },
);
