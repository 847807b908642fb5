import { isTimeZone, monthAt, readWindows, windowAt } from '@khumbu/operations/wan/download-window';
import { WAN_SETTINGS, wanRules } from '@khumbu/operations/wan/settings';
import { loadConfig } from '@khumbu/shared/runtime/config';
import t from 'tap';
import { Type } from 'typebox';

const NIGHT = '22:00-06:00';

/** At this date the windows are open or closed, until then; `-`: for ever. Dates with their offset, as the clock shows them. */
type Row = readonly [what: string, zone: string, windows: string, at: string, is: 'open' | 'closed', until: string];
const ROWS: readonly Row[] = [
  ['before it opens', 'Europe/Berlin', NIGHT, '2026-11-29T21:59:59.999+01:00', 'closed', '2026-11-29T22:00+01:00'],
  ['as it opens', 'Europe/Berlin', NIGHT, '2026-11-29T22:00+01:00', 'open', '2026-11-30T06:00+01:00'],
  ['after midnight', 'Europe/Berlin', NIGHT, '2026-11-30T00:30+01:00', 'open', '2026-11-30T06:00+01:00'],
  ['as it closes', 'Europe/Berlin', NIGHT, '2026-11-30T06:00+01:00', 'closed', '2026-11-30T22:00+01:00'],
  ['in UTC', 'UTC', NIGHT, '2026-11-29T21:59Z', 'closed', '2026-11-29T22:00Z'],
  ['half an hour off', 'Asia/Kolkata', NIGHT, '2026-11-29T22:00+05:30', 'open', '2026-11-30T06:00+05:30'],
  // 29 March 2026: 02:00 is followed by 03:00.
  ['a short night', 'Europe/Berlin', NIGHT, '2026-03-28T23:00+01:00', 'open', '2026-03-29T06:00+02:00'],
  [
    'its beginning is skipped',
    'Europe/Berlin',
    '02:30-04:00',
    '2026-03-29T01:59+01:00',
    'closed',
    '2026-03-29T03:00+02:00',
  ],
  ['from then on', 'Europe/Berlin', '02:30-04:00', '2026-03-29T03:00+02:00', 'open', '2026-03-29T04:00+02:00'],
  ['its end is skipped', 'Europe/Berlin', '23:00-02:30', '2026-03-29T01:30+01:00', 'open', '2026-03-29T03:00+02:00'],
  [
    'all of it is skipped',
    'Europe/Berlin',
    '02:10-02:50',
    '2026-03-29T01:00+01:00',
    'closed',
    '2026-03-30T02:10+02:00',
  ],
  // 25 October 2026: 02:59 CEST is followed by 02:00 CET.
  ['a long night', 'Europe/Berlin', NIGHT, '2026-10-24T23:00+02:00', 'open', '2026-10-25T06:00+01:00'],
  ['it begins twice', 'Europe/Berlin', '02:30-04:00', '2026-10-25T02:30+02:00', 'open', '2026-10-25T04:00+01:00'],
  ['and is open through', 'Europe/Berlin', '02:30-04:00', '2026-10-25T02:10+01:00', 'open', '2026-10-25T04:00+01:00'],
  [
    'it ends the first time',
    'Europe/Berlin',
    '01:00-02:30',
    '2026-10-25T01:00+02:00',
    'open',
    '2026-10-25T02:30+02:00',
  ],
  ['and not again', 'Europe/Berlin', '01:00-02:30', '2026-10-25T02:10+01:00', 'closed', '2026-10-26T01:00+01:00'],
  // America/New_York: 8 March and 1 November 2026. Australia/Lord_Howe turns by half an hour: 4 October 2026.
  [
    'New York in spring',
    'America/New_York',
    '02:15-03:30',
    '2026-03-08T01:00-05:00',
    'closed',
    '2026-03-08T03:00-04:00',
  ],
  ['New York in autumn', 'America/New_York', '01:30-03:00', '2026-11-01T01:45-04:00', 'open', '2026-11-01T03:00-05:00'],
  [
    'by half an hour',
    'Australia/Lord_Howe',
    '02:15-05:00',
    '2026-10-04T01:00+10:30',
    'closed',
    '2026-10-04T02:30+11:00',
  ],
  // Pacific/Apia left out 30 December 2011, America/Sao_Paulo began days at 01:00: 4 November 2018.
  ['a day left out', 'Pacific/Apia', '10:00-12:00', '2011-12-29T13:00-10:00', 'closed', '2011-12-31T10:00+14:00'],
  ['no midnight', 'America/Sao_Paulo', '00:00-05:00', '2018-11-03T23:00-03:00', 'closed', '2018-11-04T01:00-02:00'],
  ['of two the next', 'UTC', '01:00-02:00,12:00-13:00', '2026-11-29T11:00Z', 'closed', '2026-11-29T12:00Z'],
  ['two in a row are one', 'UTC', '20:00-24:00,00:00-04:00', '2026-11-29T21:00Z', 'open', '2026-11-30T04:00Z'],
  ['two that overlap are one', 'UTC', '22:00-03:00,02:00-05:00', '2026-11-29T23:00Z', 'open', '2026-11-30T05:00Z'],
  ['all day', 'Europe/Berlin', '00:00-24:00', '2026-03-29T02:00Z', 'open', '-'],
  ['none', 'Europe/Berlin', '', '2026-03-29T02:00Z', 'open', '-'],
];

void t.test('windows open and close by the clock of the depot, on both days that it is changed too', async (t) => {
  for (const [what, zone, windows, at, is, until] of ROWS) {
    const found = windowAt(readWindows(windows === '' ? [] : windows.split(',')), zone, Date.parse(at));
    const expected = { open: is === 'open', ...(until === '-' ? {} : { until: Date.parse(until) }) };
    t.strictSame(found, expected, `${what}: ${found.until === undefined ? '-' : new Date(found.until).toISOString()}`);
  }
});

void t.test('through both days, what is said of the next change is what comes', async (t) => {
  const windows = readWindows(['02:30-03:15', '22:00-01:45']);
  for (const day of ['2026-03-28T12:00Z', '2026-10-24T12:00Z']) {
    let said = windowAt(windows, 'Europe/Berlin', Date.parse(day));
    const wrong: string[] = [];
    for (let minute = 5; minute < 24 * 60; minute += 5) {
      const at = Date.parse(day) + minute * 60_000;
      const found = windowAt(windows, 'Europe/Berlin', at);
      const changes = said.until !== undefined && at >= said.until;
      if (found.open !== (changes ? !said.open : said.open)) wrong.push(new Date(at).toISOString());
      if (!changes && found.until !== said.until) wrong.push(`${new Date(at).toISOString()} until`);
      said = found;
    }
    t.strictSame(wrong, [], day);
  }
});

void t.test('months are those of the depot', async (t) => {
  const rows = [
    ['UTC', '2026-11-30T23:59:59.999Z', '2026-11', '2026-12-01T00:00Z'],
    ['Europe/Berlin', '2026-11-30T23:30Z', '2026-12', '2027-01-01T00:00+01:00'],
    ['America/Los_Angeles', '2026-12-01T07:59Z', '2026-11', '2026-12-01T00:00-08:00'],
    ['Europe/Berlin', '2026-03-31T21:00Z', '2026-03', '2026-04-01T00:00+02:00'],
  ] as const;
  for (const [zone, at, name, endsAt] of rows)
    t.strictSame(monthAt(zone, Date.parse(at)), { name, endsAt: Date.parse(endsAt) }, `${zone} ${at}`);
});

void t.test('settings that cannot be meant stop the start, and 0 is no limit', async (t) => {
  const read = (env: Record<string, string>) => wanRules(loadConfig(Type.Object(WAN_SETTINGS), env));
  t.strictSame(read({}), { timeZone: 'UTC', windows: [], startSpreadS: 0 });
  t.strictSame(
    read({
      DEPOT_TIME_ZONE: 'Europe/Berlin',
      WAN_RATE_LIMIT_BYTES_PER_S: '1000',
      DOWNLOAD_WINDOW: '22:00-06:00, 12:00-24:00',
    }),
    {
      timeZone: 'Europe/Berlin',
      rateBytesPerS: 1000,
      windows: [
        { begin: '22:00', end: '06:00' },
        { begin: '12:00', end: '00:00' },
      ],
      startSpreadS: 0,
    },
  );
  const bad = [
    { DEPOT_TIME_ZONE: 'Berlin' },
    { DEPOT_TIME_ZONE: '+25:00' },
    { DOWNLOAD_WINDOW: '22-06' },
    { DOWNLOAD_WINDOW: '22:00-24:30' },
    { DOWNLOAD_WINDOW: '22:00-06:00,' },
    { WAN_MONTH_BUDGET_BYTES: '-1' },
    { DOWNLOAD_START_SPREAD_S: '86401' },
  ];
  for (const env of bad) t.throws(() => read(env), { code: 'CONFIG_INVALID' }, JSON.stringify(env));
  t.ok(isTimeZone('Asia/Kolkata'));
});
