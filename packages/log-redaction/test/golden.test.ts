/** Logs as stations write them go in, with every kind of secret; none comes out, and what support needs stays. */
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import { createRedactor } from '../src/redactor.js';
import { FILES, goldenLog, has, inPieces, KEY, SECRETS } from './golden-logs.js';

const redactorOf = (rules: Parameters<typeof createRedactor>[0]['rules'] = REDACTION_RULES) =>
  createRedactor({ rules, key: KEY });

async function passedBytes(bytes: Buffer, redactor = redactorOf(), size = 777): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of redactor.pass(inPieces(bytes, size))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const passed = async (...input: Parameters<typeof passedBytes>): Promise<string> =>
  (await passedBytes(...input)).toString();

const byLine = (text: string): string => {
  const redactor = redactorOf();
  return text
    .split('\n')
    .map((line) => redactor.line(line))
    .join('\n');
};

for (const [file, { secrets, kept }] of Object.entries(FILES)) {
  void t.test(`${file}: none of its secrets comes out`, async (t) => {
    const bytes = await goldenLog(file);
    const text = bytes.toString();
    const redactor = redactorOf();
    const out = await passed(bytes, redactor);
    const lines = byLine(text);
    for (const [rule, words] of Object.entries(secrets)) {
      for (const word of words) {
        t.ok(has(text, word), `${word} is in the log`);
        t.notOk(has(out, word), `${rule}: ${word} is not in the archive`);
        t.notOk(has(lines, word), `${rule}: ${word} is not in the live view`);
      }
      t.ok((redactor.counts()[rule] ?? 0) > 0, `${rule} is counted`);
    }
    for (const word of kept) {
      t.ok(text.includes(word) || word.includes('[secret:'), `${word} is in the log`);
      t.ok(out.includes(word), `${word} stays`);
    }
    t.equal(out.split('\n').length, text.split('\n').length, 'lines stay lines');
    t.equal(await passed(Buffer.from(out)), out, 'what was taken out once is left alone');
  });
}

void t.test('all golden logs one after another, over the edges of windows at every place', async (t) => {
  const logs = await Promise.all(Object.keys(FILES).map(goldenLog));
  const all = Buffer.concat(logs);
  const filler = Buffer.from(`${'2026-03-01T10:00:00Z nothing to see here, 16.0 A\n'.repeat(6200)}`);
  for (let shift = 0; shift < 12; shift += 1) {
    const head = filler.subarray(0, 256 * 1024 - all.length - 20_000 + shift * 4999);
    const out = await passed(
      Buffer.concat([head, Buffer.from('\n'), all, filler.subarray(0, 40_000)]),
      redactorOf(),
      65_536,
    );
    const left = SECRETS.filter((word) => has(out, word));
    t.same(left, [], `shifted by ${shift * 4999}`);
  }
});

void t.test('a rule that is off takes nothing out, and is not counted', async (t) => {
  const bytes = await goldenLog('ocpp-1.6.log');
  const redactor = redactorOf(['certificates']);
  const out = await passed(bytes, redactor);
  t.ok(out.includes('04A2B3C4D5E680'));
  t.notOk(out.includes('MIIBGOLDENSIGNER'));
  t.same(Object.keys(redactor.counts()), ['certificates']);
  t.equal(await passed(bytes, redactorOf([])), bytes.toString());
});

void t.test('one card has one pseudonym in all its spellings, another depot another one', async (t) => {
  const pseudonyms = async (text: string, key = KEY) =>
    (await passed(Buffer.from(text), createRedactor({ rules: REDACTION_RULES, key }))).match(/\[\w+:[0-9a-f]{10}\]/g);
  const card = await pseudonyms('{"idTag":"04a2b3c4"} {"idToken": {"idToken": "04A2B3C4"}} token 04:A2:B3:C4\n');
  t.equal(card?.length, 3);
  t.equal(new Set(card).size, 1);
  const car = await pseudonyms('00:E0:4C:68:0A:15 <EVCCID>00e04c680a15</EVCCID> fe80::2e0:4cff:fe68:a15\n');
  t.equal(car?.length, 3);
  t.equal(new Set(car).size, 1);
  const other = await pseudonyms('{"idTag":"04A2B3C4"}', 'the key of another depot, also long');
  t.not(other?.[0], card?.[0]);
  t.throws(() => createRedactor({ rules: [], key: 'short' }), TypeError);
});

void t.test('own expressions, in lines of any script, beside the named ones', async (t) => {
  const rules = [
    'rfid_tokens' as const,
    { name: 'driver_name', expression: 'driver=(\\p{L}+ \\p{L}+)', group: 1 },
    { name: 'plate', expression: '(?i)\\bKH-[A-Z]{1,2} \\d{1,4}\\b' },
  ];
  const redactor = redactorOf(rules);
  const out = await passed(Buffer.from('§ driver=Änne Müller plate kh-ab 123 {"idTag":"0A0B"} ok ✓\n'), redactor, 5);
  t.match(out, /^§ driver=\[driver_name:\w{10}\] plate \[plate:\w{10}\] \{"idTag":"\[rfid:\w{10}\]"\} ok ✓\n$/);
  t.same(redactor.counts(), { rfid_tokens: 1, driver_name: 1, plate: 1 });
});

void t.test('bytes that are no text pass as they are; the same bytes give the same bytes', async (t) => {
  const noise = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919 + (i >> 3)) & 0xff));
  const tagged = Buffer.concat([noise, Buffer.from('\n{"idTag":"0A0B0C0D"}\n'), noise]);
  t.ok((await passedBytes(tagged, redactorOf([]), 100_000)).equals(tagged));
  t.ok((await passedBytes(tagged, redactorOf(), 1000)).equals(await passedBytes(tagged, redactorOf(), 200_000)));
});

void t.test('a line longer than a window, and a secret longer than one', async (t) => {
  const word = 'plain words, no secret; ';
  const long = `{"note":"${word.repeat(12_000)}","idTag":"LONGLINE01","more":"${word.repeat(12_000)}","password":"LONGLINE02"}\n`;
  const out = await passed(Buffer.from(long), redactorOf(), 10_000);
  t.notMatch(out, /LONGLINE/);
  t.equal(out.split(word).length, 24_001, 'the rest stays');
  const endless = await passed(Buffer.from(`{"password":"${'s3cret'.repeat(60_000)}","idTag":"AFTER"}\nnext line\n`));
  t.notMatch(endless, /s3cret|AFTER/);
  t.match(endless, /\nnext line\n$/);
});

void t.test('no line makes it take long', async (t) => {
  const MANY = 60_000;
  for (const piece of [
    '\\',
    '"',
    '{"password":',
    '"idTag":"',
    '{"name":"password"',
    '-----BEGIN A-----',
    'MIIB',
    'token ',
    'a.',
    '://a:',
    '[{"vpn":{',
    '04:',
    'evcc ',
    'fe80::',
    '<Certificate',
    '&lt;EVCCID ',
    'Authorization: ',
    'OCMF"ID":"',
    '--password',
  ]) {
    const line = `password idTag evcc ${piece.repeat(Math.ceil(MANY / piece.length))}\n`;
    const out = await passed(Buffer.from(line), redactorOf(), 65_536);
    t.equal(out.at(-1), '\n', piece);
  }
});

void t.test('a block of PEM whose beginning was not seen, for who begins to look in the middle', (t) => {
  const body = 'QUJD'.repeat(16);
  const after = 'a'.repeat(64);
  for (const word of ['', 'evse_security[512]: ']) {
    const redactor = createRedactor({ rules: REDACTION_RULES, key: KEY, beginsInside: true });
    const lines = [body, body, 'QUJDQUJDQUJDQUJDQUI=', '-----END EC PRIVATE KEY-----', after].map(
      (line) => word + line,
    );
    const shown = lines.map((line) => redactor.line(line));
    t.notMatch(shown.join('\n'), /QUJD/, `behind "${word}"`);
    t.match(shown[0], /\[certificate:[0-9a-f]{10}\]/);
    t.equal(shown[4], lines[4], 'what follows the block is not of it');
  }
  const plain = createRedactor({ rules: REDACTION_RULES, key: KEY, beginsInside: true });
  for (const line of ['session started', 'ready', '2026-11-29T10:00:00Z evse 1: Charging'])
    t.equal(plain.line(line), line);
  const whole = createRedactor({ rules: REDACTION_RULES, key: KEY });
  t.equal(whole.line(body), body, 'a source from its beginning has none');
  t.end();
});
