/** What people see of a station's words. */
import { generateKeyPairSync } from 'node:crypto';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import { createStationText, KEY_OF_PROCESS, plainText, stationText } from '../src/station-text.js';

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const [, ...BODY] = PEM.trimEnd().split('\n').slice(0, -1);

void t.test('secrets are not in it, whatever they are written like', (t) => {
  const cases: readonly (readonly [said: string, secrets: readonly string[], rest: RegExp])[] = [
    [
      'curl: (22) https://user:s3cret@host/x?token=abc',
      ['s3cret', 'token=abc'],
      /^curl: \(22\) https:\/\/user:\[secret/,
    ],
    ['> Authorization: Bearer eyJhbGciOi.abc', ['eyJhbGciOi'], /^> Authorization: Bearer \[secret:\w{10}\]$/],
    [`key is\n${PEM}cannot be read`, BODY, /^key is -----BEGIN PRIVATE KEY----- ?\[certificate.*cannot be read$/],
    [`key is ${PEM.replaceAll('\n', '\\n')}`, BODY, /^key is -----BEGIN/],
    ['no idTag 04A1B2C3D4E5F6 in list', ['04A1B2C3D4E5F6'], /^no idTag \[rfid:\w{10}\] in list$/],
    ['{"idTag":\n  "04A1B2C3D4E5F6"}', ['04A1B2C3D4E5F6'], /idTag/],
    ['password:\n  hush-hush', ['hush-hush'], /^password: /],
    ['EVCCID 00:11:22:33:44:55 unknown', ['00:11:22:33:44:55'], /^EVCCID \[mac:\w{10}\] unknown$/],
    [
      'Failed to restart everest.service: Unit not found.',
      [],
      /^Failed to restart everest\.service: Unit not found\.$/,
    ],
    ['LastError: Failed to download bundle: HTTP 404, code=22', [], /^LastError: .* HTTP 404, code=22$/],
  ];
  for (const [said, secrets, rest] of cases) {
    for (const text of [plainText.shown(said), plainText.shown(Buffer.from(said)), plainText.shown(said, 40)])
      for (const secret of secrets) t.notOk(text.includes(secret), `${secret} in ${text}`);
    t.match(plainText.shown(said), rest);
  }
  t.end();
});

void t.test('it is cut after that: what begins before the cut ends behind it', (t) => {
  for (let length = 1; length < 90; length += 1) {
    const texts = [
      plainText.shown('https://user:s3cret@host/x', length),
      plainText.shown('{"idToken": {"type": "ISO14443", "value": "04A1B2C3D4E5F6"}}', length),
    ];
    for (const text of texts) t.notMatch(text, /s3c|04A1/, text);
  }
  const [first = '', second = ''] = BODY;
  t.notMatch(plainText.lastLine(`-----BEGIN PRIVATE KEY-----\n${first}\n${second}`, 300), second.slice(0, 8));
  for (const named of ['basic_auth_password:\n  hush-hush\n', 'Authorization:\n\tBearer hush-hush-hush'])
    t.notMatch(plainText.lastLine(named), /hush/, named);
  t.match(plainText.lastLine(`password=\nhush\nit failed\n\n`), /^it failed$/);
  t.end();
});

void t.test('pseudonyms are those of logs with the same key, and what is shown once can be shown again', (t) => {
  const key = 'k'.repeat(40);
  const depot = stationText(REDACTION_RULES, key);
  t.equal(depot, stationText([...REDACTION_RULES], key), 'made once');
  const inLogs = createRedactor({ rules: REDACTION_RULES, key }).text('idTag 04A1B2C3D4E5F6');
  t.match(inLogs, /^idTag \[rfid:\w{10}\]$/);
  t.equal(depot.shown('idTag 04A1B2C3D4E5F6'), inLogs);
  t.not(plainText.shown('idTag 04A1B2C3D4E5F6'), inLogs, 'with another key it is another one');
  const words = ['idTag 04A1B2C3D4E5F6, https://user:s3cret@host/x?token=abc', `key is\n${PEM}cannot be read`];
  for (const said of [...words, 'password:\n  hush-hush', '{"idTag":\n  "04A1B2C3D4E5F6"}']) {
    const once = depot.shown(said);
    t.equal(depot.shown(once), once);
    t.equal(depot.again(`it says: ${once}`), `it says: ${once}`);
  }
  t.end();
});

const OWNER = [...REDACTION_RULES, { name: 'owner', expression: 'Owner: (.*)', group: 1 }];

void t.test('own expressions are held against each line as it came, once', (t) => {
  const begins = [...REDACTION_RULES, { name: 'owner', expression: '^Owner: (.*)$', group: 1 }];
  const text = stationText(begins, KEY_OF_PROCESS).shown('it failed\nOwner: Jane Roe\nsoon');
  t.match(text, /^it failed Owner: \[owner:\w{10}\] soon$/);

  const { shown, lastLine, again } = stationText(OWNER, KEY_OF_PROCESS);
  const said = 'Owner: Jane\nE: no space left';
  const inLogs = createRedactor({ rules: OWNER, key: KEY_OF_PROCESS }).text('Owner: Jane');
  t.equal(shown(said), `${inLogs} E: no space left`);
  t.equal(lastLine(said), 'E: no space left');
  t.equal(again(`it failed: ${shown(said)}`), `it failed: ${shown(said)}`);
  t.match(again('it failed: password=hush'), /password=\[secret:\w{10}\]$/, 'rules by name hold for it as well');
  t.end();
});

void t.test('the last line is the last one, however much came before', (t) => {
  const much = 'all is well\n'.repeat(25_000);
  t.equal(plainText.lastLine(`${much}E: no space left\n\u001b\n`), 'E: no space left');
  t.equal(plainText.lastLine(Buffer.from(`${much}E: no space left\n`)), 'E: no space left');
  t.match(plainText.lastLine(`${much}password:\n  hush-hush\n`), /^\[secret:\w{10}\]$/, 'what came before tells of it');
  t.equal(plainText.lastLine(`first\nE: ${'x'.repeat(300_000)}`, 5), 'E: xx');
  t.equal(plainText.lastLine('x'.repeat(3_000_000), 5), 'xxxxx');
  t.same([plainText.lastLine(''), plainText.lastLine('\n \n'), plainText.lastLine('one')], ['', '', 'one']);
  t.end();
});

void t.test('nothing throws, whatever a driver in JavaScript gives', (t) => {
  const bare = Object.create(null) as object;
  const cases = [
    [null, ''],
    [undefined, ''],
    [7, '7'],
    [bare, '[left out]'],
  ] as const;
  for (const [said, text] of cases)
    for (const show of [plainText.shown, plainText.lastLine, plainText.again]) t.equal(show(said as never), text);
  t.equal(plainText.error(bare), '[left out]');
  t.equal(plainText.error(Object.assign(new Error('x'), { message: bare })), '[left out]');
  t.equal(plainText.error('password=hush').includes('hush'), false);
  t.end();
});

void t.test('where redaction fails nothing is shown', (t) => {
  const fails = (): never => {
    throw new Error('a fault');
  };
  const broken = createStationText(fails, fails);
  t.same([broken.shown('password=hush'), broken.lastLine('a\nb'), broken.shown('')], ['[left out]', '[left out]', '']);
  t.same([broken.again('password=hush'), broken.again('')], ['[left out]', '']);
  t.end();
});
