import t from 'tap';
import { OPERATION_FIELDS, STATION_FIELDS } from '../src/fields.js';
import { FilterError } from '../src/filter-error.js';
import { compileFilter, matcherOf, type Value } from '../src/match.js';
import { type Comparison, comparisonsOf, type Filter, MOST_CHARACTERS, parseFilter } from '../src/parse-filter.js';
import { compareVersions, matchesGlob, readMoment } from '../src/values.js';

const NOW = Date.parse('2026-11-29T12:00:00Z');

/** As it was understood, with every parenthesis. */
function written(filter: Filter): string {
  if (filter.kind === 'not') return `not ${written(filter.part)}`;
  if (filter.kind !== 'comparison') return `(${filter.parts.map(written).join(` ${filter.kind} `)})`;
  const { field, key, operator, values } = filter;
  return `${field}${key === undefined ? '' : `.${key}`} ${operator} ${values.join('|')}`;
}

const READ: readonly (readonly [text: string, meaning: string])[] = [
  ['label.site=north', 'label.site = north'],
  [' station  !=\n cs-1 ', 'station != cs-1'],
  ['label.a.b_c = x', 'label.a.b_c = x'],
  ['station = "and so on"', 'station = and so on'],
  ["station = 'it\\'s'", "station = it's"],
  ['station = "not"', 'station = not'],
  ['station=a or station=b and station=c', '(station = a or (station = b and station = c))'],
  ['(station=a or station=b) and station=c', '((station = a or station = b) and station = c)'],
  ['not not station = a', 'not not station = a'],
  ['NOT station=a AND station=b', '(not station = a and station = b)'],
  ['not (station=a and station=b)', 'not (station = a and station = b)'],
  ['version in (2.0, "2.1 beta")', 'version in 2.0|2.1 beta'],
  ['version<2.1', 'version < 2.1'],
  ['lastSeen >= now-15m', 'lastSeen >= now-15m'],
  ['lastSeen < 2026-11-29T10:00:00+01:00', 'lastSeen < 2026-11-29T10:00:00+01:00'],
  ['state in (away,never_heard)', 'state in away|never_heard'],
  ['version ~ 2.*', 'version ~ 2.*'],
];

void t.test('what is written is what is meant', (t) => {
  for (const [text, meaning] of READ) t.equal(written(parseFilter(text, STATION_FIELDS)), meaning, text);
  t.end();
});

const REFUSED: readonly (readonly [text: string, at: number, length: number, expected: RegExp, message?: RegExp])[] = [
  ['', 0, 0, /^station,type,label\.NAME,version,.*,not,\($/],
  ['   ', 3, 0, /^station,/],
  ['sites = north', 0, 5, /^station,type,label\.NAME,/, /^character 1: sites is no field/],
  ['label = north', 0, 5, /label\.NAME/],
  ['label. = north', 0, 6, /label\.NAME/],
  ['station.x = north', 0, 9, /^station,/],
  ['constructor = x', 0, 11, /^station,/],
  ['station', 7, 0, /^=,!=,~,in,<,<=,>,>=$/, /^character 8: nothing where/],
  ['station north', 8, 5, /^=,/],
  ['station =', 9, 0, /^$/, /value/],
  ['station = and', 10, 3, /^$/],
  ['station = a b', 12, 1, /^and,or$/],
  ['station = a and', 15, 0, /^station,/],
  ['(station = a', 12, 0, /^and,or,\)$/],
  ['station = a)', 11, 1, /^and,or$/],
  ['station in a', 11, 1, /^\($/],
  ['station in (a b)', 14, 1, /^,,\)$/],
  ['station in ()', 12, 1, /^$/],
  ['station = "a', 10, 2, /^$/, /closing "/],
  ['station ! a', 8, 1, /^!=$/],
  ['station == a', 9, 1, /^$/],
  ['state = gone', 8, 4, /^here,away,never_heard,conflict,no_driver,not_listed$/],
  ['dialect in (ocpp1.6, ocpp2)', 21, 5, /^ocpp1\.6,ocpp2\.x,unknown$/],
  ['lastSeen = now', 9, 1, /^<,<=,>,>=$/],
  ['lastSeen > yesterday', 11, 9, /^$/, /now-15m/],
  ['lastSeen > 2026-13-40', 11, 10, /^$/],
  ['ok = yes', 5, 3, /^true,false$/],
  ['ok ~ true', 3, 1, /^=,!=$/],
  ['title ~ "a*"', 6, 1, /^=,!=,in$/],
  [`${'('.repeat(40)}station = a${')'.repeat(40)}`, 33, 1, /^$/, /nested/],
  [Array.from({ length: 70 }, () => 'ok=true').join(' or '), 64 * 11 + 2, 1, /^$/, /64 comparisons/],
  [`station = ${'a'.repeat(MOST_CHARACTERS)}`, MOST_CHARACTERS, 10, /^$/, /longer than/],
];

void t.test('what cannot be read says where, and what could have stood there', (t) => {
  for (const [text, at, length, expected, message] of REFUSED) {
    const name = text.slice(0, 60);
    try {
      parseFilter(text, /^(ok|title)/.test(text) ? OPERATION_FIELDS : STATION_FIELDS);
      t.fail(`it was read: ${name}`);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      t.strictSame([error.code, error.at, error.length], ['FILTER_INVALID', at, length], name);
      t.match(error.expected.join(), expected, name);
      if (message) t.match(error.message, message, name);
    }
  }
  t.end();
});

const ONE = {
  station: 'cs-1',
  version: '2.9.1',
  state: 'away',
  lastSeen: NOW - 3600_000,
  'label.site': 'north',
} as Readonly<Record<string, Value>>;
const nameOf = ({ field, key }: Comparison): string => (key === undefined ? field : `${field}.${key}`);
const fits = (text: string): boolean =>
  compileFilter<typeof ONE>(parseFilter(text, STATION_FIELDS), (comparison) => {
    const field = STATION_FIELDS[comparison.field as keyof typeof STATION_FIELDS];
    const matches = matcherOf(comparison, field, NOW);
    return (one) => matches(one[nameOf(comparison)]);
  })(ONE);

void t.test('what fits', (t) => {
  const yes = [
    'station = cs-1',
    'station ~ cs-*',
    'station ~ "??-1"',
    'station in (cs-0, cs-1)',
    'label.site = north and not state = here',
    'version < 2.10 and version > 2.9',
    'version >= 2.9.1 and version <= 2.9.1',
    'lastSeen < now-30m and lastSeen > now-2h',
    'lastSeen > 2026-11-29 and lastSeen <= 2026-11-29T11:00:00Z',
    'label.row != a',
    'not label.row = a',
    'not label.row < a',
    'station = x or state = away',
    'label.site ~ *',
  ];
  const no = [
    'station = CS-1',
    'station ~ cs',
    'label.row = a',
    'label.row ~ *',
    'label.row < z',
    'version < 2.9',
    'lastSeen > now-30m',
    'not (station = x or state = away)',
  ];
  for (const text of yes) t.equal(fits(text), true, text);
  for (const text of no) t.equal(fits(text), false, text);
  t.strictSame(comparisonsOf(parseFilter('not (station=a or version<2) and state=here', STATION_FIELDS)).map(nameOf), [
    'station',
    'version',
    'state',
  ]);
  t.end();
});

void t.test('versions are in the order in which people count', (t) => {
  const order = ['1.0', '2.1-alpha', '2.1-rc1', '2.1-rc2', '2.1-rc10', '2.1', '2.1.1', '2.2', '2.10', '2.10a', '10'];
  for (const [at, older] of order.entries()) {
    t.equal(compareVersions(older, older), 0, older);
    for (const newer of order.slice(at + 1)) {
      t.ok(compareVersions(older, newer) < 0, `${older} before ${newer}`);
      t.ok(compareVersions(newer, older) > 0, `${newer} after ${older}`);
    }
  }
  t.equal(compareVersions('2.01', '2.1'), 0);
  t.ok(compareVersions(`2.${'9'.repeat(40)}`, `2.1${'0'.repeat(40)}`) < 0);
  t.end();
});

void t.test('globs, and times', (t) => {
  const globs: [string, string, boolean][] = [
    ['*', '', true],
    ['', '', true],
    ['?', '', false],
    ['a*c', 'abbc', true],
    ['a*c', 'abcb', false],
    ['*b*', 'abc', true],
    ['a?c', 'abc', true],
    ['.', 'a', false],
    ['[ab]', 'a', false],
    ['a**c*', 'ac', true],
  ];
  for (const [pattern, text, isMatch] of globs) t.equal(matchesGlob(pattern, text), isMatch, `${pattern} ${text}`);
  t.equal(matchesGlob('*a'.repeat(200), `${'a'.repeat(5000)}b`), false);
  t.equal(readMoment('now', NOW), NOW);
  t.equal(readMoment('now+2w', NOW), NOW + 14 * 86_400_000);
  t.equal(readMoment('2026-11-29', NOW), Date.parse('2026-11-29T00:00:00Z'));
  for (const text of ['now-', 'now-5', 'now-5y', '29.11.2026', '12:00', '2026-11-29T10:00']) {
    t.equal(readMoment(text, NOW), undefined, text);
  }
  t.end();
});
