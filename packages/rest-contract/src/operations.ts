/** Operations as REST shows them. */
import { KINDS, STATION_KINDS } from '@khumbu/operations/kinds/kinds';
import { LIFTERS, type Lifter, WAIT_WORDS, waitOfWord } from '@khumbu/operations/records/wait-words';
import { FirmwareUpdateStatusEnum, LogStatusEnum } from '@khumbu/shared/contract/schemas';
import { type Static, Type } from 'typebox';
import { count, nextCursor, optionalText, optionalTime, text, time, total } from './members.js';

export const OperationKindSchema = Type.Enum([...STATION_KINDS], {
  $id: 'OperationKind',
  description: 'What is asked of a station. A station does one operation of each kind at a time.',
});
export const OriginSchema = Type.Enum(['everest', 'rest'], {
  $id: 'Origin',
  description: '`everest`: asked over MQTT, usually by the CSMS through OCPP. `rest`: asked over this API.',
});

const EVERESTS_STATUSES: readonly string[] = [...FirmwareUpdateStatusEnum.enum, ...LogStatusEnum.enum];
/** The states of all kinds that EVerest has no word for. */
const OWN_STATUSES = [...new Set(STATION_KINDS.flatMap((kind) => Object.keys(KINDS[kind].transitions)))].filter(
  (state) => !EVERESTS_STATUSES.includes(state),
);
/** Every status an operation can be asked for by. */
export const STATUS_FILTERS = [...new Set(['open', 'ended', ...OWN_STATUSES, ...EVERESTS_STATUSES])];

/** One flat list: of a union of lists some generators make a type that no value fits. */
export const OperationStatusSchema = Type.Enum(
  [...new Set([...FirmwareUpdateStatusEnum.enum, ...LogStatusEnum.enum, ...OWN_STATUSES])],
  {
    $id: 'OperationStatus',
    description:
      'Where it stands, in EVerest’s words where there are some. Offered: being answered. Superseded: another one took its place. Withdrawn: it was never answered. Of resets: Resetting, Restarting, Restarted, Failed; of networks: Ready, Failed; of clocks: Pending, Done.',
    examples: ['Downloading'],
  },
);

export const OutcomeSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether it did what was asked.' }),
    reason: optionalText('Why not, as a stable word; also what is worth telling of a success.', {
      examples: ['http_404'],
    }),
    message: optionalText('More, for people.'),
  },
  { $id: 'Outcome', description: 'How an operation ended.' },
);

/** How far something is; in events as in views. */
export const PROGRESS_MEMBERS = {
  bytes: Type.Optional(count('Bytes so far: of a download, an upload, or of the image on its way to the station.')),
  totalBytes: Type.Optional(count('Bytes in all, where that is known.')),
  records: Type.Optional(count('Of a log upload: records that were read at the station so far.')),
  bytesPerS: Type.Optional(count('Bytes a second over the last 20 seconds.')),
  remainingS: Type.Optional(count('Seconds that are left at this rate, where all bytes are known.')),
  percent: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 100, description: 'Of an installation, where the station says.' }),
  ),
};

const ProgressSchema = Type.Object(
  {
    ...PROGRESS_MEMBERS,
    at: time('When this was true.'),
  },
  {
    $id: 'Progress',
    description:
      'How far this operation’s own download, upload or installation is, while it runs. An installation begins with the bytes that have come to the station; what the station says of its work comes after them.',
  },
);

const listed = (table: Readonly<Record<string, string>>): string =>
  Object.entries(table)
    .map(([word, meaning]) => `- \`${word}\`: ${meaning}`)
    .join('\n');
const meanings = Object.fromEntries(WAIT_WORDS.map((word) => [word, waitOfWord(word).meaning]));

export const WaitingSchema = Type.Object(
  {
    for: Type.Enum(WAIT_WORDS, { description: `What must come to pass.\n\n${listed(meanings)}` }),
    since: time('Since when it waits for that.'),
    until: optionalTime(
      'When the wait is over at the latest; absent: nothing but what it waits for ends it. Where it is counted on the depot’s own clock it is an estimate: while the depot is stopped no time passes for it.',
    ),
    afterwards: Type.Optional(
      Type.Enum(['goes_on', 'fails', 'ends'], {
        description: 'What comes at `until`: it goes on by itself, it fails, or it ends well.',
      }),
    ),
    liftedBy: Type.Array(Type.Enum(Object.keys(LIFTERS) as Lifter[]), {
      description: `Who can end the wait, likeliest first.\n\n${listed(LIFTERS)}`,
    }),
    detail: optionalText('More, for people.'),
  },
  {
    $id: 'Waiting',
    description: 'What an open operation waits for, or who is at work on it. Every open operation has it.',
    examples: [
      {
        for: 'permission',
        since: '2026-11-22T09:30:00.000Z',
        until: '2026-11-29T09:30:00.000Z',
        afterwards: 'fails',
        liftedBy: ['everest', 'operator'],
      },
    ],
  },
);

const HistoryEntrySchema = Type.Object(
  { at: time('When.'), status: text('The status it entered.'), reason: optionalText('Why, as a stable word.') },
  { $id: 'HistoryEntry', description: 'One step in the life of an operation.' },
);

export const OperationSchema = Type.Object(
  {
    operationId: text('Our own id; it never repeats.', { examples: ['firmware-update-mia0x1c2-5f0c9a7be1'] }),
    kind: OperationKindSchema,
    stationId: text('The station.', { examples: ['cs-1'] }),
    origin: OriginSchema,
    askedBy: optionalText('Who asked over REST.'),
    title: optionalText('What it was called by who asked.'),
    orderId: optionalText('The bulk order it came with.'),
    requestId: Type.Integer({ description: 'request_id on the wire; -1 where EVerest gave none. May repeat.' }),
    status: OperationStatusSchema,
    ended: Type.Boolean({ description: 'Nothing more will happen; `outcome` says how it went.' }),
    createdAt: time('When it was asked for.'),
    updatedAt: time('When it changed last.'),
    endedAt: optionalTime('When it ended.'),
    deadlineAt: optionalTime(
      'When the status it is in becomes a failure. An estimate: while the depot is stopped no time passes for it.',
    ),
    waitingFor: optionalText(
      'What it waits for, as a stable word; an error with its text. Absent while somebody is at work on it. `waiting` says more.',
      { examples: ['permission'] },
    ),
    waiting: Type.Optional(WaitingSchema),
    location: optionalText('Where the image is or the archive goes; without credentials and query.'),
    fileName: optionalText('Name of the log archive.'),
    sizeBytes: Type.Optional(count('Size of the log archive, once uploaded.')),
    retrieveTimestamp: optionalTime('When the image is to be fetched, if that was asked for.'),
    installTimestamp: optionalTime('When the image is to be installed, if that was asked for.'),
    image: Type.Optional(
      Type.Object(
        { sha256: text('SHA-256 in hex.'), sizeBytes: count('Size in bytes.') },
        { description: 'The image in the depot’s store.' },
      ),
    ),
    pausedBy: optionalText('Who has paused its download over REST.'),
    downloadNowBy: optionalText('Who lets it be fetched whatever the download window and the budgets say.'),
    wanBytes: Type.Optional(count('Bytes that its fetches have brought over the WAN, those it shared in full.')),
    permissionBy: Type.Optional(Type.Enum(['everest', 'rest'], { description: 'Who allowed the installation.' })),
    resetType: optionalText('Soft, Hard or NotSpecified.'),
    interfaceName: optionalText('The network interface.'),
    supersedes: optionalText('The operation whose place it took.'),
    progress: Type.Optional(ProgressSchema),
    outcome: Type.Optional(OutcomeSchema),
    history: Type.Array(HistoryEntrySchema, { description: 'Every status it has had, oldest first.' }),
  },
  { $id: 'Operation', description: 'What was asked of a station, and what became of it.' },
);
export type OperationView = Static<typeof OperationSchema>;

export const OperationPageSchema = Type.Object(
  {
    items: Type.Array(OperationSchema, {
      description: 'Open ones first, newest first in each part, where no other order was asked for.',
    }),
    total,
    nextCursor,
  },
  { $id: 'OperationPage', description: 'A page of operations.' },
);
