/** What was taken out once is left alone: words of a station pass the rules by lines and as one, and logs quote logs. */
import { REDACTION_RULES, type RedactRule } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import { createRedactor } from '../src/redactor.js';
import { FILES, goldenLog, inPieces, KEY } from './golden-logs.js';

const own = (expression: string, group = 0, name = 'own'): RedactRule => ({ name, expression, group });
/** They take out the brackets and quotes by which the rules by name know the end of a message: what is not ended is a secret to be safe. */
const TAKE_STRUCTURE: ReadonlySet<string> = new Set(['.$', '^.', '\\S+ \\S+']);
const OWN: readonly (readonly RedactRule[])[] = [
  [],
  [own('(.+)')],
  [own('user: (.*)', 1)],
  [own('.{3}')],
  [own('.$')],
  [own('^.')],
  [own('\\w+')],
  [own('\\d{6}')],
  [own('\\S+ \\S+')],
  [own('[^ ,]+')],
  [own('(\\w+)\\W+(.*)', 2, 'a_name_of_as_many_letters_as_may')],
  [own('at (.{0,40}) of', 1, 'place'), own('(?i)anna', 0, 'name_of_driver')],
];
const TEXTS = [
  'user: Anna Huber, token 04A1B2C3D4 at the depot of Kathmandu',
  'curl: (67) ftp://diag:hush@files.depot.example/logs: access denied',
  'Authorization: Basic dXNlcjpodXNoLWh1c2g= refused\nuser: Anna\npassword=hush key',
  '{"password":"hush","idTag":"04A2B3C4","note":"user: Anna"}',
  '{"password":"hush and no end\nuser: Anna',
  'Set-Cookie: id=hush; Path=/\nuser: Anna',
  'ftp://diag:hush',
  'abcdefg',
];
const each = [
  ...TEXTS,
  ...(await Promise.all(Object.keys(FILES).map(async (file) => (await goldenLog(file)).toString()))),
];

async function passed(text: string, rules: readonly RedactRule[]): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of createRedactor({ rules, key: KEY }).pass(inPieces(Buffer.from(text), 777)))
    pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

for (const more of OWN) {
  const rules = [...REDACTION_RULES, ...more];
  const name = more.map((rule) => (typeof rule === 'string' ? rule : rule.expression)).join(', ');
  void t.test(`twice is once: ${name || 'rules by name'}`, async (t) => {
    const redactor = createRedactor({ rules, key: KEY });
    for (const text of TAKE_STRUCTURE.has(name) ? TEXTS : each) {
      const once = redactor.text(text);
      t.equal(redactor.text(once), once, 'a text');
      for (const line of text.split('\n')) {
        const shown = createRedactor({ rules, key: KEY }).line(line);
        t.equal(createRedactor({ rules, key: KEY }).line(shown), shown, 'a line');
      }
      const archived = await passed(text, rules);
      t.equal(await passed(archived, rules), archived, 'an archive');
      t.equal(redactor.text(archived), archived, 'a text of what was archived');
    }
  });
}

void t.test('a pseudonym is the same after any number of passes', (t) => {
  for (const expression of TAKE_STRUCTURE) {
    const redactor = createRedactor({ rules: [...REDACTION_RULES, own(expression)], key: KEY });
    for (const text of each) {
      const passes = [redactor.text(text)];
      for (let n = 0; n < 3; n += 1) passes.push(redactor.text(passes.at(-1) ?? ''));
      const [first = [], ...later] = passes.map((pass): readonly string[] => pass.match(/\[\w+:[0-9a-f]{10}\]/g) ?? []);
      for (const pseudonyms of later)
        t.same(
          first.filter((one) => !pseudonyms.includes(one)),
          [],
        );
    }
  }
  t.end();
});

void t.test('nothing within a pseudonym is a secret, what stands before and behind it may be', (t) => {
  const shown = (text: string, ...rules: readonly RedactRule[]): string =>
    createRedactor({ rules: [...REDACTION_RULES, ...rules], key: KEY }).text(text);
  const known = '[rfid:0123456789]';
  t.match(shown(`of ${known} and more`, own('of (.*)', 1)), `of ${known} and more`, 'begins with one');
  const around = shown(`by Anna ${known} Huber`, own('by (.*)', 1));
  t.match(around, /^by \[own:\w{10}\] \[rfid:0123456789\] \[own:\w{10}\]$/, 'it stands within');
  t.equal(shown(around, own('by (.*)', 1)), around);
  t.equal(shown(`${known} ${known}`, own('.+')), `${known} ${known}`);
  t.equal(shown(`card ${known}`, own('[0-9]{4}')), `card ${known}`, 'a part of one');
  const long = '[a_name_of_as_many_letters_as_may:0123456789]';
  t.equal(shown(long, own('\\w+:\\d+')), long);
  t.equal(shown('ftp://diag:[secret:0123456789]'), 'ftp://diag:[secret:0123456789]', 'at the end of a URL');
  t.notMatch(shown('"password":"[no pseudonym:0123456789]"'), 'no pseudonym');
  t.end();
});

void t.test('many pseudonyms in one line take no longer', (t) => {
  const line = '[rfid:0123456789] '.repeat(20_000);
  t.equal(createRedactor({ rules: [own('.+')], key: KEY }).text(line), line);
  const open = '['.repeat(200_000);
  t.match(createRedactor({ rules: [own('.+')], key: KEY }).text(open), /^\[own:\w{10}\]$/);
  const words = '[own:0123456789]a '.repeat(20_000);
  t.equal(
    createRedactor({ rules: [own('[a-z]+')], key: KEY })
      .text(words)
      .split('[own:').length,
    40_001,
  );
  t.end();
});
