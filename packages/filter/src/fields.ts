/** What stations and operations can be chosen by. */

/**
 * `word`: text, also by a glob and in the order of characters. `whole`: text that is compared as a whole. `version`: numbers in
 * it count as numbers. `time`: a date, or one that is reckoned from now. `flag`: true or false.
 */
export type FieldType = 'word' | 'whole' | 'version' | 'time' | 'flag';

export interface Field {
  readonly type: FieldType;
  /** For people. */
  readonly meaning: string;
  /** It has a name behind a dot, as `label.site`. */
  readonly isKeyed?: true;
  /** All the values there are. */
  readonly values?: readonly string[];
}
export type Fields = Readonly<Record<string, Field>>;

const STATION_STATES = ['here', 'away', 'never_heard', 'conflict', 'no_driver', 'not_listed'] as const;
const DIALECTS = ['ocpp1.6', 'ocpp2.x', 'unknown'] as const;

export const STATION_FIELDS = {
  station: { type: 'word', meaning: 'Its id.' },
  type: { type: 'word', meaning: 'What it is: `type` of the stations file, or as it was set over REST.' },
  label: { type: 'word', meaning: 'The label of this name, as `label.site`.', isKeyed: true },
  version: { type: 'version', meaning: 'What it runs, as the station calls it.' },
  state: {
    type: 'word',
    meaning: '`refusedBecause` where nothing is done with it, else `presence`.',
    values: STATION_STATES,
  },
  lastSeen: { type: 'time', meaning: 'When it was last heard.' },
  dialect: { type: 'word', meaning: 'What its OCPP module speaks.', values: DIALECTS },
  driver: { type: 'word', meaning: 'How it is reached.' },
} as const satisfies Fields;

export type StationField = keyof typeof STATION_FIELDS;

/** Of operations alone; those of their stations can be asked for as well. `kinds` and `statuses` are known by who serves them. */
const OWN_FIELDS = {
  kind: { type: 'word', meaning: 'What was asked for.' },
  status: { type: 'word', meaning: '`open`, `ended`, or a status such as `Downloading`.' },
  origin: { type: 'word', meaning: 'Who asked.', values: ['everest', 'rest'] },
  askedBy: { type: 'whole', meaning: 'The name of the key, or the subject of the token, that asked over REST.' },
  reason: { type: 'whole', meaning: '`outcome.reason`.' },
  ok: { type: 'flag', meaning: '`outcome.ok`; neither of both while it is open.' },
  title: { type: 'whole', meaning: 'The title it was ordered with.' },
  orderId: { type: 'whole', meaning: 'The bulk order it came with.' },
  createdAt: { type: 'time', meaning: 'When it was asked for.' },
  updatedAt: { type: 'time', meaning: 'When it changed last.' },
  endedAt: { type: 'time', meaning: 'When it ended.' },
} as const satisfies Fields;
export const OPERATION_FIELDS = { ...OWN_FIELDS, ...STATION_FIELDS } as const satisfies Fields;

export const OPERATORS = {
  word: ['=', '!=', '~', 'in', '<', '<=', '>', '>='],
  version: ['=', '!=', '~', 'in', '<', '<=', '>', '>='],
  whole: ['=', '!=', 'in'],
  time: ['<', '<=', '>', '>='],
  flag: ['=', '!='],
} as const satisfies Record<FieldType, readonly string[]>;
export type Operator = (typeof OPERATORS)['word'][number];
