/** What REST says of the security log. */
import { type Static, Type } from 'typebox';
import { closed, count, nextCursor, optionalText, optionalTime, text, time } from './members.js';

const hash = (description: string) =>
  text(description, { pattern: '^[0-9a-f]{64}$', examples: ['5f0c9a7be1'.padEnd(64, '0')] });

const PointSchema = Type.Object(
  { sequence: count('Its place in the chain; 0: before the first entry.'), hash: hash('Its hash.') },
  { description: 'An entry, by its place and its hash.' },
);

export const SecurityEntrySchema = Type.Object(
  {
    sequence: count('From 1 on, without a gap.'),
    at: time('When it happened.'),
    what: text('A kind of operation, the name of a request, or a word as `login`, `policy_changed`.', {
      examples: ['firmware_update'],
    }),
    phase: Type.Enum(['asked', 'refused', 'ended', 'done'], {
      description:
        '`asked` and `ended`: of an operation. `refused`: no operation came of the request. `done`: all the rest.',
    }),
    by: Type.Object(
      {
        cause: Type.Enum(['everest', 'rest', 'schedule', 'depot', 'file'], {
          description:
            'A request of EVerest or of a caller of REST, a schedule, the depot by itself, or a file or setting that somebody has changed.',
        }),
        name: optionalText('The caller, or the service.', { examples: ['fleet-tool'] }),
      },
      { description: 'Who or what was the cause.' },
    ),
    stationId: optionalText('Absent: of the whole depot.'),
    operationId: optionalText('The operation it belongs to.'),
    ok: Type.Optional(Type.Boolean({ description: 'Whether it went well; absent: nothing to say yet.' })),
    reason: optionalText('Why not: a stable word.'),
    message: optionalText('The same for people.'),
    details: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Array(Type.String())]),
        { description: 'More of it: the SHA-256 of an image, what was changed. No secrets.' },
      ),
    ),
    previous: hash('Hash of the entry before.'),
    hash: hash('SHA-256 of all the rest in its canonical form (RFC 8785).'),
  },
  { $id: 'SecurityEntry', description: 'An entry of the security log.' },
);

const head = Type.Unsafe<Static<typeof PointSchema>>({ ...PointSchema, description: 'The newest entry.' });
const checkpoint = Type.Optional(
  Type.Unsafe<Static<typeof PointSchema>>({
    ...PointSchema,
    description: 'The newest entry that was removed because of its age; absent: none was.',
  }),
);

export const SecurityLogPageSchema = Type.Object(
  { items: Type.Array(SecurityEntrySchema), nextCursor, head, checkpoint },
  {
    $id: 'SecurityLogPage',
    description: 'Entries, the newest first. A page may be short and not be the last: only without `nextCursor` it is.',
  },
);

export const SecurityVerdictSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Every entry is as it was chained, and none is missing.' }),
    entries: count('Entries that are right, from the first on.'),
    first: Type.Optional(count('Where they begin.')),
    last: Type.Optional(PointSchema),
    fault: Type.Optional(
      Type.Object(
        {
          kind: Type.Enum(['hash', 'link', 'gap', 'cut', 'anchor'], {
            description:
              '`hash`: an entry is not what was chained. `link`: it does not follow the one before. `gap`: entries are missing. `cut`: the end is missing. `anchor`: what was noted is something else.',
          }),
          sequence: count('Where.'),
        },
        { description: 'The first thing that is wrong.' },
      ),
    ),
    head,
    checkpoint,
  },
  { $id: 'SecurityVerdict', description: 'Whether the security log is whole.' },
);

export const SecurityLogQuery = Type.Object(
  {
    station: optionalText('Only of this station.'),
    what: optionalText('Only these, as `login`.'),
    since: optionalTime('Only from this time on.'),
    until: optionalTime('Only up to this time.'),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Entries on a page.' })),
    cursor: Type.Optional(
      Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'nextCursor of the page before.' }),
    ),
  },
  closed,
);

export const SecurityVerificationQuery = Type.Object(
  {
    anchor: Type.Optional(
      Type.Array(Type.String({ pattern: '^[0-9]{1,15}:[0-9a-f]{64}$' }), {
        maxItems: 100,
        description: 'What was noted outside, as `sequence:hash`; may be repeated.',
      }),
    ),
  },
  closed,
);
