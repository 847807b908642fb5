/** What REST says and hears: views, bodies and parameters. Wire objects of EVerest keep their spelling. */
import { LIFTERS, type Lifter, WAIT_WORDS, waitOfWord } from '@khumbu/operations/records/wait-words';
import {
  BootReason,
  ConfigureNetworkRequest,
  FirmwareUpdateRequest,
  FirmwareUpdateStatusEnum,
  LogStatusEnum,
  ResetRequest,
  ResetType,
  SystemTime,
  UploadLogsRequest,
} from '@khumbu/shared/contract/schemas';
import { type Static, Type } from 'typebox';
import { DepotSchema } from './depot-schemas.js';
import { PROBLEMS, type ProblemCode } from './problems.js';

const text = (description: string, more: object = {}) => Type.String({ description, ...more });
const optionalText = (description: string, more: object = {}) => Type.Optional(text(description, more));
const time = (description: string) =>
  text(description, { format: 'date-time', examples: ['2026-11-22T09:30:00.000Z'] });
const optionalTime = (description: string) => Type.Optional(time(description));
const count = (description: string) => Type.Integer({ minimum: 0, description });

export const OPERATION_KINDS = [
  'firmware_update',
  'log_upload',
  'reset',
  'set_system_time',
  'configure_network',
] as const;
export const OperationKindSchema = Type.Enum([...OPERATION_KINDS], {
  $id: 'OperationKind',
  description: 'What is asked of a station. A station does one operation of each kind at a time.',
});
export const OriginSchema = Type.Enum(['everest', 'rest'], {
  $id: 'Origin',
  description: '`everest`: asked over MQTT, usually by the CSMS through OCPP. `rest`: asked over this API.',
});

const OWN_STATUSES = [
  'Offered',
  'Accepted',
  'Superseded',
  'Canceled',
  'Withdrawn',
  'Resetting',
  'Restarting',
  'Restarted',
  'Ready',
  'Failed',
  'Pending',
  'Done',
] as const;
/** Every status an operation can be asked for by. */
const STATUS_FILTERS = [
  ...new Set(['open', 'ended', ...OWN_STATUSES, ...FirmwareUpdateStatusEnum.enum, ...LogStatusEnum.enum]),
];

export const OperationStatusSchema = Type.Union(
  [
    FirmwareUpdateStatusEnum,
    LogStatusEnum,
    Type.Enum([...OWN_STATUSES], { description: 'What EVerest has no word for.' }),
  ],
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

export const ProgressSchema = Type.Object(
  {
    bytes: Type.Optional(count('Bytes so far, of a download or an upload.')),
    totalBytes: Type.Optional(count('Bytes in all, where that is known.')),
    percent: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: 'Of an installation, where the station says.' }),
    ),
    at: time('When this was true.'),
  },
  {
    $id: 'Progress',
    description: 'How far this operation’s own download, upload or installation is, while it runs.',
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

export const HistoryEntrySchema = Type.Object(
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

export const StationSchema = Type.Object(
  {
    stationId: text('The station.', { examples: ['cs-1'] }),
    moduleId: optionalText('Id of the `system_API` module of its EVerest.'),
    configured: Type.Boolean({ description: 'false: not in the stations file; listed, never touched.' }),
    driver: optionalText('How it is reached.', { examples: ['simulated'] }),
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
    operations: Type.Array(OperationSchema, { description: 'What is under way.' }),
  },
  { $id: 'Station', description: 'One EVerest instance with `system_API`.' },
);
export type StationView = Static<typeof StationSchema>;

const nextCursor = optionalText('For the next page; absent on the last one.');
export const StationPageSchema = Type.Object(
  { items: Type.Array(StationSchema, { description: 'By name.' }), nextCursor },
  { $id: 'StationPage', description: 'A page of stations.' },
);
export const OperationPageSchema = Type.Object(
  { items: Type.Array(OperationSchema, { description: 'Open ones first, newest first in each part.' }), nextCursor },
  { $id: 'OperationPage', description: 'A page of operations.' },
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

export const ProblemSchema = Type.Object(
  {
    type: text('urn:khumbu:problem: and the code.'),
    title: text('What the code means.'),
    status: Type.Integer({ description: 'HTTP status.' }),
    detail: optionalText('What it was this time; absent where the title says it all.'),
    instance: text('The path that was asked for.'),
    code: Type.Enum(Object.keys(PROBLEMS) as ProblemCode[], { description: 'Stable: decide by this.' }),
    reason: optionalText('The word of the decision behind it.'),
    operationId: optionalText('The operation it is about.'),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          detail: text('What is wrong there.'),
          pointer: optionalText('Where in the body: a JSON pointer as the fragment of a URI.', {
            examples: ['#/retries'],
          }),
          parameter: optionalText('Name of the parameter.', { examples: ['status'] }),
          in: Type.Optional(Type.Enum(['query', 'path', 'header'], { description: 'Where the parameter stands.' })),
          allowed: Type.Optional(Type.Array(Type.Unknown(), { description: 'What would have been taken.' })),
        }),
        { description: 'All that is wrong with a body or with parameters, twenty at most.' },
      ),
    ),
  },
  {
    $id: 'Problem',
    description: 'An error, RFC 9457.',
    examples: [
      {
        type: 'urn:khumbu:problem:INSTALLING',
        title: PROBLEMS.INSTALLING.title,
        status: 409,
        instance: '/v1/stations/cs-1/firmware-updates',
        code: 'INSTALLING',
        reason: 'installing',
      },
    ],
  },
);

// Bodies: EVerest's requests without the id, which is ours to choose; members nobody knows are mistakes here.
const closed = { additionalProperties: false } as const;
const replace = Type.Optional(
  Type.Boolean({ description: 'true: end what EVerest asked for and is under way, instead of being refused.' }),
);
export const FirmwareUpdateOrderSchema = Type.Object(
  { ...Type.Omit(FirmwareUpdateRequest, ['request_id']).properties, replace },
  {
    ...closed,
    $id: 'FirmwareUpdateOrder',
    description: 'FirmwareUpdateRequest without request_id.',
    examples: [{ location: 'https://files.example/charger-2.1.raucb', retries: 3, retry_interval_s: 60 }],
  },
);
const { location: logLocation, ...logOptions } = Type.Omit(UploadLogsRequest, ['request_id']).properties;
export const LogUploadOrderSchema = Type.Object(
  { location: Type.Optional(logLocation), ...logOptions, replace },
  {
    ...closed,
    $id: 'LogUploadOrder',
    description: 'UploadLogsRequest without request_id; without location the archive goes to the depot’s object store.',
    examples: [{ type: 'DiagnosticsLog', oldest_timestamp: '2026-11-21T00:00:00Z' }],
  },
);
export const ResetOrderSchema = Type.Object(
  { ...ResetRequest.properties, replace },
  { ...closed, $id: 'ResetOrder', description: 'ResetRequest.', examples: [{ type: 'Soft' }] },
);
export const SystemTimeOrderSchema = Type.Object(
  { time: SystemTime },
  {
    ...closed,
    $id: 'SystemTimeOrder',
    description: 'The time the station’s clock is set to, unless it differs only a little.',
    examples: [{ time: '2026-11-22T09:30:00Z' }],
  },
);
export const NetworkOrderSchema = Type.Object(
  { ...Type.Omit(ConfigureNetworkRequest, ['request_id']).properties, replace },
  {
    ...closed,
    $id: 'NetworkOrder',
    description: 'ConfigureNetworkRequest without request_id.',
    examples: [{ interface: 'Wired0' }],
  },
);

const Page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Items on a page.' })),
  cursor: optionalText('nextCursor of the page before.'),
};
export const StationParams = Type.Object({ stationId: text('Id of the station.', { examples: ['cs-1'] }) });
export const OperationParams = Type.Object({ operationId: text('Id of the operation.') });
export const StationOperationParams = Type.Object({ ...StationParams.properties, ...OperationParams.properties });
export const PageQuery = Type.Object(Page, closed);
const status = Type.Optional(
  Type.Enum(STATUS_FILTERS, { description: '`open`, `ended`, or a status such as `Downloading`.', examples: ['open'] }),
);
const origin = Type.Optional(Type.Enum(['everest', 'rest'], { description: 'Who asked.' }));
export const StationOperationsQuery = Type.Object({ status, origin, ...Page }, closed);
export const OperationsQuery = Type.Object(
  {
    station: optionalText('Only of this station.'),
    kind: Type.Optional(Type.Enum([...OPERATION_KINDS], { description: 'Only of this kind.' })),
    status,
    origin,
    ...Page,
  },
  closed,
);
export const ResetPermissionQuery = Type.Object(
  {
    type: Type.Optional(
      Type.Enum(['Soft', 'Hard', 'NotSpecified'], { description: 'Which reset.', default: 'NotSpecified' }),
    ),
  },
  closed,
);
export const EventsQuery = Type.Object(
  {
    station: Type.Optional(
      Type.Array(Type.String(), { maxItems: 1000, description: 'Only of these stations; may be repeated.' }),
    ),
    kind: Type.Optional(
      Type.Array(Type.Enum([...OPERATION_KINDS]), { description: 'Only operations of these kinds; may be repeated.' }),
    ),
    type: Type.Optional(
      Type.Array(Type.Enum(['operation', 'station', 'progress']), {
        description: 'Only events of these types; may be repeated.',
      }),
    ),
  },
  closed,
);
export const EventsHeaders = Type.Object({
  'last-event-id': optionalText('Id of the last event that was received: those after it are sent first.'),
});
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': optionalText(
    'Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.',
    { minLength: 1, maxLength: 255, examples: ['5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10'] },
  ),
});

/** Everything that is to be a component of the document. */
export const REST_SCHEMAS = [
  DepotSchema,
  OperationSchema,
  StationPageSchema,
  OperationPageSchema,
  ResetPermissionSchema,
  BootReasonViewSchema,
  ProblemSchema,
  FirmwareUpdateOrderSchema,
  LogUploadOrderSchema,
  ResetOrderSchema,
  SystemTimeOrderSchema,
  NetworkOrderSchema,
] as const;
