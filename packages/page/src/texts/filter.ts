/** Texts of filters: English. */
import type { OPERATION_FIELDS, StationField } from '@khumbu/filter/fields';

const ofStations = {
  station: 'its name',
  type: 'what it is, as its maker calls it',
  label: 'a group it belongs to, as label.site',
  version: 'what it runs; 2.9 is older than 2.10',
  state: 'whether it is heard, or why nothing is done with it',
  lastSeen: 'when it was last heard: a date, or now-15m (s, m, h, d, w)',
  dialect: 'what its OCPP module speaks',
  driver: 'how it is reached',
} satisfies Record<StationField, string>;

export const filterTexts = {
  label: 'Filter',
  how: 'How to filter',
  language:
    'A field, = != ~ in < <= > >=, and a value; then and, or, not and parentheses. ~ knows * and ?; a text with spaces stands in quotes.',
  fault: (place: number, what: string) => `Character ${place}: ${what}`,
  stations: ofStations,
  operations: {
    ...ofStations,
    station: 'the station it is of',
    kind: 'what was asked for',
    status: 'open, ended, or a status as Downloading',
    origin: 'who asked',
    askedBy: 'the key that asked',
    reason: 'why it failed, in one word as http_404',
    ok: 'whether it did what was asked',
    title: 'what it was called when it was ordered',
    orderId: 'the order for many stations it came with',
    createdAt: 'when it was asked for',
    updatedAt: 'when it changed last',
    endedAt: 'when it ended',
  } satisfies Record<keyof typeof OPERATION_FIELDS, string>,
  examples: {
    stations: ['state = away', 'version < 2.1', 'label.site = north', 'lastSeen < now-1d', 'station ~ gate-*'],
    operations: ['status = open', 'ok = false and endedAt > now-1d', 'kind = log_upload', 'reason = http_404'],
  },
};
