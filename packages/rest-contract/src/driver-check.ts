/** What REST says of a look at a station before it is used. */
import { type Static, Type } from 'typebox';
import { optionalTime, text, time } from './members.js';

const VERBS = ['observe', 'install', 'reboot', 'restart', 'read_clock', 'set_clock', 'logs', 'network'] as const;
const verdict = Type.Enum(['can', 'cannot', 'unknown', 'not_needed', 'not_supported'], {
  description:
    '`can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.',
});

const FindingSchema = Type.Object({
  subject: text('A stable word.', { examples: ['host_key', 'space', 'rauc_service'] }),
  outcome: Type.Enum(['ok', 'warning', 'missing', 'unknown', 'not_needed'], {
    description: '`missing` and `unknown` decide about the verbs that are named; `warning` is for people.',
  }),
  text: text('What was seen.'),
  remedy: Type.Optional(text('What to do.')),
  verbs: Type.Array(Type.String({ enum: [...VERBS] }), { description: 'What it is about.' }),
});

const ResultSchema = Type.Object({
  verbs: Type.Object(Object.fromEntries(VERBS.map((verb) => [verb, verdict])), {
    description: 'Whether each could be done now.',
  }),
  findings: Type.Array(FindingSchema),
  latencyMs: Type.Optional(Type.Integer({ minimum: 0, description: 'To the station and back; absent: not reached.' })),
  clockOffsetMs: Type.Optional(Type.Integer({ description: 'Its clock against ours; positive: it is ahead.' })),
  freeBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'Free for its state folder.' })),
});

export const DriverCheckSchema = Type.Object(
  {
    stationId: text('The station.', { examples: ['cs-1'] }),
    state: Type.Enum(['never', 'running', 'done', 'lost'], {
      description:
        '`never`: none was asked for in the last 30 days. `running`: one was asked for and has not ended. `done`: `result` is of the last one. `lost`: the last one did not end in ten minutes; ask again.',
    }),
    askedAt: Type.Optional(time('When the last one was asked for.')),
    checkedAt: optionalTime('When `result` was found.'),
    ageS: Type.Optional(Type.Integer({ minimum: 0, description: 'How old `result` is, in seconds.' })),
    result: Type.Optional(ResultSchema),
  },
  { $id: 'DriverCheck', description: 'Whether a station could be acted upon, and what is missing.' },
);
export type DriverCheckView = Static<typeof DriverCheckSchema>;
