/** Lines of several files, and of several programs in one log, come mixed: what one has begun does not end with what another writes. */
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import type { Found } from '../src/find-secrets.js';
import { createLineMemory } from '../src/line-memory.js';
import { createRedactor } from '../src/redactor.js';
import { FILES, goldenLog, has, inPieces, KEY, SECRETS } from './golden-logs.js';

const redactorOf = (beginsInside = false) => createRedactor({ rules: REDACTION_RULES, key: KEY, beginsInside });
const leftIn = (text: string): readonly string[] => SECRETS.filter((word) => has(text, word));

async function passed(text: string, redactor = redactorOf()): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of redactor.pass(inPieces(Buffer.from(text), 777))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

const FILE_NAMES = Object.keys(FILES);
const logs = await Promise.all(
  FILE_NAMES.map(async (file) => (await goldenLog(file)).toString().trimEnd().split('\n')),
);

/** A line of each in turn, as long as there are any. */
const mixed = logs
  .flatMap((lines, log) => lines.map((line, at) => ({ line, at, log })))
  .toSorted((a, b) => a.at - b.at || a.log - b.log);

interface Form {
  readonly name: string;
  readonly head: (program: string, second: number) => string;
}
const two = (number: number): string => String(number).padStart(2, '0');
const FORMS: readonly Form[] = [
  {
    name: 'a journal as the drivers write it',
    head: (program, second) =>
      `2026-03-01T10:${two(second % 60)}:00.000000Z ${'a'.repeat(32)} ${second}.000000 ${program}.service info ${program}: `,
  },
  { name: 'RFC 3164', head: (program, second) => `Mar 01 10:${two(second % 60)}:00 yak-7 ${program}[512]: ` },
  {
    name: 'RFC 3339 in front of a program',
    head: (program, second) => `2026-03-01T10:${two(second % 60)}:00+01:00 yak-7 ${program}[7]: `,
  },
  { name: 'RFC 5424', head: (program) => `<30>1 2026-03-01T10:00:00Z yak-7 ${program} 512 - [meta seq="1"] ` },
];
/** What others write in between: nothing of it closes, and nothing of it is JSON. */
const NOISE = ['"', '}', '{ "', ']', 'don"t', '}}} "value', '[['];

for (const { name, head } of FORMS) {
  const text = mixed
    .flatMap(({ line, log, at }) => [
      `${head(`module-${log}`, at)}${line}`,
      `${head('audit', at)}${NOISE[(at + log) % NOISE.length]}`,
    ])
    .join('\n');

  void t.test(`${name}: programs that write at the same time`, async (t) => {
    t.same(
      SECRETS.filter((word) => !has(text, word)),
      [],
      'all are in the log',
    );
    t.same(leftIn(await passed(text)), [], 'none is in the archive');
    const redactor = redactorOf();
    const shown = text.split('\n').map((line) => redactor.line(line));
    t.same(leftIn(shown.join('\n')), [], 'none is in the live view');
    t.equal(shown.filter((line) => line.includes('audit')).length, mixed.length);
    t.equal((await passed(text)).split('\n').length, text.split('\n').length, 'lines stay lines');
  });
}

void t.test('files that are followed at the same time', (t) => {
  const redactor = redactorOf();
  const shown = mixed.map(({ line, log }) => redactor.line(line, FILE_NAMES[log]));
  t.same(leftIn(shown.join('\n')), []);
  t.end();
});

void t.test('each line with its time in front', (t) => {
  for (const time of [
    '2026-11-29T12:00:01.000Z',
    '2026-11-29 12:00:01,5',
    '[1795953601.25]',
    '@400000006a2b3c4d5e6f7a8b',
  ]) {
    const redactor = redactorOf();
    redactor.line(`${time} 	"key": "AuthorizationKey",`);
    t.notMatch(redactor.line(`${time} 	"value": "the secret"`), 'the secret', time);
  }
  t.end();
});

void t.test('a name in one file, its value behind lines of another', (t) => {
  const redactor = redactorOf();
  const show = (text: string, file: string): string => redactor.line(text, file);
  show('  "key": "AuthorizationKey",', 'a');
  for (let n = 0; n < 100; n += 1) t.equal(show('  "value": "300"', 'b'), '  "value": "300"');
  t.notMatch(show('  "value": "the secret"', 'a'), 'the secret');
  show('  "id_token": {', 'a');
  for (let n = 0; n < 100; n += 1) show('  }', 'b');
  t.notMatch(show('    "value": "04A2B3C4"', 'a'), '04A2B3C4');
  t.end();
});

void t.test('a name and its value in one file that two programs write to without a word of who they are', (t) => {
  const redactor = redactorOf();
  for (const [secret, foreign] of [
    ['"key": "AuthorizationKey",', 'connector 1: charging'],
    ['"name": "BasicAuthPassword" },', '"readonly": false,'],
    ['"id_token": {', '}'],
    ['"vpn": {', '},'],
  ] as const) {
    redactor.line(`    ${secret}`);
    redactor.line(foreign);
    const value = secret.includes('vpn') ? '"key": "hidden-1"' : '"value": "hidden-1"';
    t.notMatch(redactor.line(`        ${value}`), 'hidden-1', secret);
    for (let n = 0; n < 70; n += 1) redactor.line('ready');
  }
  t.equal(redactor.line('  "value": "300"'), '  "value": "300"', 'and it ends');
  t.end();
});

const body = (letter: string): string => `${letter}QUJD${letter.toLowerCase()}`.repeat(10);

void t.test('two blocks of PEM at the same time, also where nobody says who writes', async (t) => {
  const lines = [
    '-----BEGIN CERTIFICATE-----',
    body('A'),
    '-----BEGIN CERTIFICATE-----',
    body('B'),
    '-----END CERTIFICATE-----',
    body('C'),
    '-----END CERTIFICATE-----',
    'ready',
  ];
  t.notMatch(await passed(lines.join('\n')), 'QUJD');
  const redactor = redactorOf();
  const shown = lines.map((line) => redactor.line(line));
  t.notMatch(shown.join('\n'), 'QUJD');
  t.equal(shown.at(-1), 'ready');
});

void t.test('each file may begin in the middle of what is a secret, however much of others came before', async (t) => {
  const redactor = redactorOf(true);
  for (let n = 0; n < 200; n += 1) redactor.line(`connector 1: ${n} W`, 'a');
  t.notMatch(redactor.line(body('A'), 'b'), 'QUJD', 'the end of a block');
  t.notMatch(redactor.line('    "value": "the secret"', 'c'), 'the secret', 'the end of a message');
  t.equal(redactor.line('connector 1: 5 W', 'c'), 'connector 1: 5 W');
  const digest = `image ${'0123456789abcdef'.repeat(4)}`;
  t.equal(redactor.line(digest, 'd'), digest, 'a checksum is no block');

  const parts = [
    `${body('A')}\n${body('B')}\n-----END CERTIFICATE-----\nready\n`,
    '    "value": "the secret"\n},\nready\n',
  ];
  const archive = redactorOf(true);
  for (const part of parts) {
    const out = await passed(part, archive);
    t.notMatch(out, /QUJD|the secret/);
    t.match(out, /ready\n$/);
  }
  t.equal(await passed(digest, archive), digest);
  t.match(archive.counts(), { certificates: 1, credentials: 1 });
});

void t.test('a message that the end of a part has cut off before its name', async (t) => {
  const value = (text: string): string => `    {\n      "attributeValue": "${text}",`;
  const component = '      "component": {\n        "name": "SecurityCtrlr"\n      },';
  const ended = `${value('900')}\n${component}\n      "variable": {\n        "name": "Interval"\n      }\n    },`;
  const cut = `${ended}\n${value('the secret')}\n${component}\n`;
  const out = await passed(cut);
  t.notMatch(out, 'the secret');
  t.match(out, '"attributeValue": "900"', 'of one that is whole the name is known');
  const [journal] = FORMS;
  const mixedCut = cut
    .trimEnd()
    .split('\n')
    .flatMap((line) => [`${journal?.head('ocpp', 1)}${line}`, `${journal?.head('audit', 1)}}`])
    .join('\n');
  t.notMatch(await passed(mixedCut), 'the secret');
  t.equal(await passed(out), out, 'what was taken out once is left alone');
  const redactor = redactorOf();
  for (const line of out.split('\n').slice(-8)) t.equal(redactor.line(line), line);
  t.match(await passed(mixedCut), '"attributeValue": "900"');
});

void t.test('a program that writes to a log of many is remembered, within limits', (t) => {
  const redactor = redactorOf();
  redactor.line('Mar 01 10:00:00 yak-7 ocpp[1]:   "key": "AuthorizationKey",');
  for (let n = 0; n < 500; n += 1) redactor.line(`Mar 01 10:00:00 yak-7 job[${n}]: ready`);
  t.notMatch(redactor.line('Mar 01 10:00:00 yak-7 ocpp[1]:   "value": "the secret"'), 'the secret');
  const many = redactorOf();
  many.line('Mar 01 10:00:00 yak-7 ocpp[1]:   "key": "AuthorizationKey",');
  for (let n = 0; n < 1100; n += 1) many.line(`Mar 01 10:00:00 yak-7 job[${n}]: ready`);
  t.match(
    many.line('Mar 01 10:00:00 yak-7 ocpp[1]:   "value": "300"'),
    '"300"',
    'what the first has begun is forgotten',
  );
  t.end();
});

void t.test('what an own rule finds within a line of a key does not keep the rest of the line', async (t) => {
  const rules = [...REDACTION_RULES, { name: 'number', expression: '\\d{6}' }];
  const line = `${'QUJD'.repeat(7)}123456${'QUJD'.repeat(7)}QU`;
  const lines = ['-----BEGIN PRIVATE KEY-----', line, line, 'QUJD123456==', '-----END PRIVATE KEY-----', 'job 123456'];
  const redactor = createRedactor({ rules, key: KEY });
  const shown = lines.map((each) => redactor.line(each));
  t.notMatch(shown.join('\n'), /QU|123456/, 'in a live view');
  t.match(shown[1], /^\[certificate:[0-9a-f]{10}\]$/);
  t.match(shown.at(-1), /^job \[number:[0-9a-f]{10}\]$/);
  const rest = createRedactor({ rules, key: KEY, beginsInside: true });
  t.notMatch(await passed(lines.slice(1).join('\n'), rest), /QU|123456/, 'in an archive that begins in the middle');
});

void t.test('a line of many values is gone through once', (t) => {
  const MANY = 4000;
  let looks = 0;
  /** Tells how often it is looked at where it begins. */
  class Counted implements Found {
    readonly rule = 'credentials';
    readonly tag = 'secret';
    readonly isRest = false;
    contextFrom: number;
    contextTo: number;
    to: number;
    readonly begins: number;
    constructor(from: number, to: number) {
      this.begins = from;
      this.to = to;
      this.contextFrom = from;
      this.contextTo = to;
    }
    get from(): number {
      looks += 1;
      return this.begins;
    }
  }
  const pair = '"attributeValue":"a","value":"b",';
  const found = Array.from({ length: MANY }, (_, n) => new Counted(n * pair.length + 18, n * pair.length + 19));
  const all = createLineMemory(['credentials']).add(pair.repeat(MANY), found);
  t.equal(all.length, 2 * MANY, 'each value once');
  t.ok(looks < 50 * MANY, `each is looked at a few times, not once for each other one: ${looks}`);
  t.end();
});

void t.test('a fingerprint of a login is no line of a block', async (t) => {
  const login =
    'Nov 29 10:00:00 yak-7 sshd[7]: Accepted publickey for root from 10.0.0.1 port 22 ssh2: ED25519 SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU';
  const integrity = 'Nov 29 10:00:01 yak-7 sshd[7]: integrity sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';
  const show = (lines: readonly string[], redactor: ReturnType<typeof redactorOf>): string =>
    lines.map((line) => redactor.line(line)).join('\n');
  const lines = [login, login, integrity];
  t.equal(show(lines, redactorOf(true)), lines.join('\n'), 'in a live view');
  t.equal(await passed(lines.join('\n'), redactorOf(true)), lines.join('\n'), 'in an archive');
  const mixed = ['-----BEGIN CERTIFICATE-----', body('A'), login, body('B'), '-----END CERTIFICATE-----'];
  for (const out of [show(mixed, redactorOf()), await passed(mixed.join('\n'))]) {
    t.match(out, login, 'also between lines of one');
    t.notMatch(out, 'QUJD');
  }
});

void t.test('a block of PEM between whose lines others write more than a window holds back', async (t) => {
  const [journal] = FORMS;
  const filler = 'connector 1: charging with 16.0 A\n'.repeat(9000);
  const key = [
    '-----BEGIN PRIVATE KEY-----',
    ...Array.from({ length: 60 }, () => body('A')),
    '-----END PRIVATE KEY-----',
  ];
  for (const [how, head, others] of [
    ['a journal', (program: string) => journal?.head(program, 1) ?? '', 70],
    ['nobody says who writes', () => '', 20],
  ] as const) {
    const text = key
      .flatMap((line) => [
        `${head('security')}${line}`,
        ...Array.from({ length: others }, () => `${head('ocpp')}ready, 16.0 A`),
      ])
      .join('\n');
    const out = await passed(`${filler}${text}\n${filler}`);
    t.notMatch(out, 'QUJD', how);
    t.match(out, '-----END PRIVATE KEY-----');
    t.equal(out.split('ready, 16.0 A').length, text.split('ready, 16.0 A').length, `${how}: lines of others stay`);
    t.ok(out.endsWith(filler), `${how}: what follows stays`);
    t.equal(await passed(out), out, `${how}: what was taken out once is left alone`);
  }
});

void t.test('a block without an end is over at some time', async (t) => {
  const line = `image ${'AbCd'.repeat(12)}`;
  const begin = `-----BEGIN PRIVATE KEY-----\n${body('A')}\n`;
  for (const between of ['ready.\n'.repeat(70), 'ready.\n'.repeat(2000) + 'ready\n'.repeat(20)]) {
    const out = await passed(`${begin}${between}${line}\n`);
    t.notMatch(out, 'QUJD');
    t.match(out, line, 'a line as one of a block, after so many that are none');
  }
  const words = 'ready.\nready\n'.repeat(2000);
  const out = await passed(`${'ready.\n'.repeat(1000)}${begin}${words}`);
  t.ok(out.split('ready\n').length > 700, 'single words are not taken for it for long');
});
