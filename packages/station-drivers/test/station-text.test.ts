/** What people see of a station's words. */
import { generateKeyPairSync } from 'node:crypto';
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

void t.test('with the same key one value has one pseudonym, and what is shown once can be shown again', (t) => {
  const depot = stationText(REDACTION_RULES, KEY_OF_PROCESS);
  t.equal(depot, stationText([...REDACTION_RULES], KEY_OF_PROCESS), 'made once');
  const once = depot.shown('idTag 04A1B2C3D4E5F6, https://user:s3cret@host/x?token=abc');
  t.equal(depot.shown(once), once);
  t.end();
});

void t.test('own expressions are held against each line as it came', (t) => {
  const own = [...REDACTION_RULES, { name: 'owner', expression: '^Owner: (.*)$', group: 1 }];
  const text = stationText(own, KEY_OF_PROCESS).shown('it failed\nOwner: Jane Roe\nsoon');
  t.match(text, /^it failed Owner: \[owner:\w{10}\] soon$/);
  t.end();
});

void t.test('where redaction fails nothing is shown', (t) => {
  const broken = createStationText(() => {
    throw new Error('a fault');
  });
  t.same([broken.shown('password=hush'), broken.lastLine('a\nb'), broken.shown('')], ['[left out]', '[left out]', '']);
  t.end();
});
