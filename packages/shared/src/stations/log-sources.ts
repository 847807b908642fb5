/** Where a real station's logs are: `logs` of an entry of the stations file. */
import { type Static, Type } from 'typebox';
import { conditional } from './conditional.js';
import { RedactRules } from './redact-rules.js';

const closed = { additionalProperties: false } as const;

const MAX_SOURCES = 20;
const list = (item: object, description: string) =>
  Type.Optional(Type.Array(Type.Unsafe<string>(item), { minItems: 1, maxItems: 100, uniqueItems: true, description }));
const word = (pattern: string) => ({ type: 'string', pattern, maxLength: 256 });

const name = Type.Optional(
  Type.String({
    pattern: '^[a-z0-9][a-z0-9_-]{0,31}$',
    description: 'What it is called in archives; default: its kind. No two of a type may have the same one.',
  }),
);

const absolute = (description: string) =>
  Type.String({ pattern: '^/[^\\u0000-\\u001f\\u007f]*$', maxLength: 1024, description });

const Journal = Type.Object(
  {
    program: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]+$', maxLength: 1024 }), {
        minItems: 1,
        maxItems: 20,
        description:
          'journalctl; default: journalctl. `[sudo, journalctl]` where the user is in no group that may read the journal.',
      }),
    ),
    directory: Type.Optional(absolute('Where its files are, if not where journald has them: option -D.')),
    units: list(
      word('^[A-Za-z0-9@:_.\\\\*?\\[\\]][A-Za-z0-9@:_.\\\\*?\\[\\]-]*$'),
      'Units, also by pattern; default: all.',
    ),
    facilities: list(word('^[a-z0-9]+$'), 'Facilities of syslog, as auth and authpriv; default: all.'),
    priority: Type.Optional(
      Type.Enum(['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'], {
        description: 'Records of this priority and those that matter more; default: all.',
      }),
    ),
    fields: list(word('^_{0,2}[A-Z][A-Z0-9_]*$'), 'More fields of each record, behind its message; default: none.'),
  },
  { ...closed, description: 'Records of the systemd journal.' },
);

const Glob = absolute(
  'A path, or a pattern of paths with *, ? and [...]. Rotated and compressed files count where it matches them.',
);

const EVEREST_LOGS = ['ocpp', 'session', 'security'] as const;

const JournalSource = Type.Object({ name, journal: Journal }, closed);
const FilesSource = Type.Object(
  {
    name,
    files: Type.Array(Glob, { minItems: 1, maxItems: 50, uniqueItems: true, description: 'Files, oldest first.' }),
  },
  closed,
);
const EverestSource = Type.Object(
  {
    name,
    everest: Type.Enum([...EVEREST_LOGS], {
      description:
        'EVerest’s own: ocpp (messages), security (events of the OCPP modules), session (one folder a session).',
    }),
    folder: Type.Optional(
      absolute(
        'Where they are, if not in /tmp/everest_ocpp_logs (MessageLogPath) and /tmp/everest-logs (session_logging_path).',
      ),
    ),
  },
  closed,
);
const argument = Type.String({
  pattern: '^(?:\\{(?:type|oldest|latest)\\}|(?!.*\\{(?:type|oldest|latest)\\})[^\\u0000-\\u001f\\u007f]*)$',
  maxLength: 4096,
});
const CommandSource = Type.Object(
  {
    name,
    command: Type.Array(argument, {
      minItems: 1,
      maxItems: 100,
      description:
        'Prints records, one a line. Values, each a whole argument: {type}, {oldest}, {latest} (RFC 3339; empty without a bound).',
    }),
  },
  closed,
);

export type LogSourceEntry =
  | Static<typeof JournalSource>
  | Static<typeof FilesSource>
  | Static<typeof EverestSource>
  | Static<typeof CommandSource>;

/** By the member that tells its kind, so that what is said of a mistake is about what was meant. */
const Source = Type.Unsafe<LogSourceEntry>(
  conditional(
    { required: ['files'] },
    FilesSource,
    conditional(
      { required: ['everest'] },
      EverestSource,
      conditional({ required: ['command'] }, CommandSource, JournalSource),
    ),
  ),
);

const sources = (description: string) => Type.Optional(Type.Array(Source, { maxItems: MAX_SOURCES, description }));

/** Of a type that is not named the profile's own sources are taken; an empty list: there are none, and it is Rejected. */
export const Logs = Type.Object(
  {
    DiagnosticsLog: sources(
      'Default: the journal of EVerest’s unit, its OCPP messages and its sessions, where they are.',
    ),
    SecurityLog: sources('Default: the journal of auth and authpriv, and EVerest’s security events, where they are.'),
    redact: Type.Optional(RedactRules),
  },
  { ...closed, description: 'Where the logs are that the CSMS asks for.' },
);
