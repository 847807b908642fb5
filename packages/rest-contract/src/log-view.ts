/** The live view of the logs of a station: what is asked for, and what each line of its JSON is. */
import { type Static, Type } from 'typebox';
import { closed, optionalText, optionalTime, text } from './members.js';

export const LogViewQuery = Type.Object(
  {
    type: Type.Optional(
      Type.Enum(['DiagnosticsLog', 'SecurityLog'], { default: 'DiagnosticsLog', description: 'Which logs.' }),
    ),
    since: optionalTime('Only records from this time on, by the clock of the station.'),
    until: optionalTime('Only records up to this time; not with `follow`.'),
    grep: optionalText(
      'Only lines that this expression of RE2 fits somewhere, after secrets were taken out; `(?i)` before it ignores case.',
      { minLength: 1, maxLength: 1000, examples: ['(?i)error|fault'] },
    ),
    source: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 50,
        description: 'Only of these sources, by their names; may be repeated.',
      }),
    ),
    follow: Type.Optional(
      Type.Boolean({ default: false, description: 'Go on with what is written, until you end the request.' }),
    ),
  },
  closed,
);

const source = text('The source, by its name in the stations file.', { examples: ['journal'] });

const LogViewRecordSchema = Type.Object(
  {
    type: Type.Literal('record'),
    source,
    time: optionalText('When it was written, by the clock of the station, where the line begins with it: RFC 3339.', {
      examples: ['2026-11-22T09:30:00.123456Z'],
    }),
    text: text('The line, without what is taken out of logs.'),
  },
  { $id: 'LogViewRecord', description: 'One line of a log.' },
);

const LogViewNoteSchema = Type.Object(
  {
    type: Type.Literal('note'),
    source,
    code: text('A stable word, as in the manifest of an archive.', { examples: ['older_left_out'] }),
    text: text('The same for people.'),
  },
  { $id: 'LogViewNote', description: 'What has to be known of a source.' },
);

const LogViewAliveSchema = Type.Object(
  { type: Type.Literal('alive') },
  { $id: 'LogViewAlive', description: 'Nothing was written for a while; the view goes on.' },
);

const LogViewEndSchema = Type.Object(
  {
    type: Type.Literal('end'),
    reason: Type.Enum(['complete', 'size_limit', 'time_limit', 'failed', 'lost', 'stopping', 'withdrawn'], {
      description:
        '`complete`: nothing more is there. `size_limit`, `time_limit`: as much, or as long, as one view may: ask for the rest. `failed`: no source could be read to its end. `lost`: what read it is gone. `stopping`: the gateway or the worker stops. `withdrawn`: your key is withdrawn, or your token has run out.',
    }),
  },
  { $id: 'LogViewEnd', description: 'The last line. Where it is missing, the answer was cut off.' },
);

const mapping = {
  record: '#/components/schemas/LogViewRecord',
  note: '#/components/schemas/LogViewNote',
  alive: '#/components/schemas/LogViewAlive',
  end: '#/components/schemas/LogViewEnd',
};

export const LogViewLineSchema = Type.Union(
  [LogViewRecordSchema, LogViewNoteSchema, LogViewAliveSchema, LogViewEndSchema],
  {
    $id: 'LogViewLine',
    description: 'One line of the live view as JSON.',
    discriminator: { propertyName: 'type', mapping },
  },
);
export type LogViewLine = Static<typeof LogViewLineSchema>;
