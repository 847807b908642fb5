/** Parts of logs that begin or end in the middle of a message: what tells that a value is a secret is not there, or comes too late. */
import { REDACTION_RULES, type RedactRule } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import { createRedactor } from '../src/redactor.js';
import { inPieces, KEY } from './golden-logs.js';

const redactorOf = (beginsInside = false, rules: readonly RedactRule[] = REDACTION_RULES) =>
  createRedactor({ rules, key: KEY, beginsInside });

async function passed(text: string, redactor = redactorOf()): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of redactor.pass(inPieces(Buffer.from(text), 7777))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

const shown = (text: string, redactor = redactorOf()): string =>
  text
    .split('\n')
    .map((line) => redactor.line(line))
    .join('\n');

/** An archive's part, and a live view. */
const WAYS = [
  ['archive', passed],
  ['view', async (text: string, redactor?: ReturnType<typeof redactorOf>) => shown(text, redactor)],
] as const;

const COMPONENT = '"component":{"name":"SecurityCtrlr"}';
const ENDED = '{"attributeValue":"900","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"Interval"}}';
const SET = '[2,"7","SetVariables",{"setVariableData":[';

void t.test('a part that ends in the middle of a message in one line', async (t) => {
  const whole = `${SET}${ENDED},{"attributeValue":"hunter2",${COMPONENT},"variable":{"name":"BasicAuthPassword"}}]}]`;
  const begin = whole.indexOf('hunter2') + 'hunter2'.length;
  for (const [way, pass] of WAYS) {
    for (let end = begin - 4; end < whole.length - '"BasicAuthPassword"}}]}]'.length; end += 3) {
      const out = await pass(`ready\n${whole.slice(0, end)}`);
      t.notMatch(out, 'hunt', `${way}: ${whole.slice(begin, end)}`);
      t.match(out, '"attributeValue":"900"', 'of one that is whole the name is known');
    }
    const escaped = JSON.stringify(whole.slice(0, whole.indexOf(',"variable":{"name":"Basic')));
    const packed = await pass(`[2,"8","DataTransfer",{"data":${escaped.slice(0, -1)}`);
    t.notMatch(packed, 'hunter2', `${way}: as a text within a message`);
    t.match(packed, 'attributeValue\\":\\"900');
    const braces = await pass(`${SET}{"attributeValue":"pa}]ss{w",${COMPONENT},"vari`);
    t.notMatch(braces, 'pa}', `${way}: brackets in a value end nothing`);
    for (const rest of ['r},"note":"x"},', 'r","note":"x"},', '}]},'])
      t.notMatch(
        await pass(`${rest}{"attributeValue":"hunter2",${COMPONENT},"vari`, redactorOf(true)),
        'hunter2',
        `${way}: a line whose beginning is not there either`,
      );
    t.equal(
      await pass(whole.replace(/"Basic.*Password"/, '"Interval"')),
      whole.replace(/"Basic.*Password"/, '"Interval"'),
    );
  }
  const report = `[2,"9","NotifyReport",{"reportData":[{"variableAttribute":[{"value":"hunter2"}],${COMPONENT},"vari`;
  t.notMatch(await passed(report), 'hunter2', 'a value two levels deeper');
});

void t.test('only the last line of a part is cut off', async (t) => {
  const line = '[3,"9",{"configurationKey":[{"key":"Interval","readonly":false,"value":"60"';
  t.match(await passed(`${line}\nready`), '"value":"60"');
  t.match(await passed(`${line}\n`), '"value":"60"');
});

void t.test('the last line is cut off, however long it is', async (t) => {
  const filler = `{"attributeValue":"900","note":"${'plain words, no secret; '.repeat(1200)}"},`;
  const cut = `${SET}${filler}{"attributeValue":"hunter2",${COMPONENT},"note":"${'plain words; '.repeat(200)}","vari`;
  t.ok(cut.length > 16 * 1024);
  for (const before of ['', 'ready\n', `${'ready 16.0 A\n'.repeat(30_000)}`]) {
    const out = await passed(before + cut);
    t.notMatch(out, 'hunter2');
    t.match(out, '"attributeValue":"900"');
  }
});

void t.test('each rule that has names of variables takes such a value out', async (t) => {
  const cut = '[2,"7","NotifyEvent",{"eventData":[{"eventId":1,"actualValue":"readertoken123","component":{"name":"Tok';
  const lines = `        {\n          "actualValue": "readertoken123",\n          "component": {\n`;
  for (const rule of ['credentials', 'rfid_tokens', 'mac_addresses'] as const) {
    for (const [way, pass] of WAYS) {
      t.notMatch(await pass(cut, redactorOf(false, [rule])), 'readertoken', `${way}: ${rule}`);
      t.notMatch(await pass(lines, redactorOf(false, [rule])), 'readertoken', `${way}: ${rule}, a member a line`);
    }
  }
  t.equal(await passed(cut, redactorOf(false, ['certificates'])), cut);
  const named = (name: string): string =>
    `"variable": {\n"name": "${name}"\n},\n"variableAttribute": [\n{\n"value": "abc123"\n`;
  t.notMatch(shown(named('Token'), redactorOf(false, ['rfid_tokens'])), 'abc123', 'also behind its name');
  t.notMatch(shown(named('VehicleId'), redactorOf(false, ['mac_addresses'])), 'abc123');
  t.match(shown(named('Interval')), 'abc123');
});

void t.test('a part that ends in the middle of a URL', async (t) => {
  for (const [way, pass] of WAYS) {
    t.notMatch(await pass('ready\n"location":"ftp://diag:ska-PW-9'), 'ska', way);
    t.notMatch(await pass('"location":"https:\\/\\/diag:ska-PW-9'), 'ska', `${way}, escaped`);
    for (const kept of ['listening on tcp://10.0.0.1:1883\nready', 'GET http://files.depot.example:8080/ska-PW-9'])
      t.equal(await pass(kept), kept, `${way}: a port, a path`);
  }
  t.notMatch(await passed('"location":"ftp://diag:4711'), '4711', 'a number, where the end is cut off for sure');
  t.notMatch(await passed('cloning https://ghx_0123456789abcdefGOL'), 'ghx_', 'a token in the place of a user');
});

const indented = (depth: number, lines: readonly string[]): string =>
  lines.map((line) => ' '.repeat(depth) + line).join('\n');

void t.test('a part that begins between the name of a variable and its value', async (t) => {
  const text = [
    indented(16, ['},', '"variableAttribute": [']),
    indented(20, ['{', '    "type": "Actual",', '    "value": "hunter2"', '}']),
    indented(16, [']']),
    indented(12, ['},', '{', '    "component": {', '        "name": "OCPPCommCtrlr"', '    },']),
    indented(16, ['"variable": {', '    "name": "Interval"', '},', '"variableAttribute": [', '    {']),
    indented(24, ['"value": "900"', '']),
  ].join('\n');
  for (const [way, pass] of WAYS) {
    const flat = text.replace(/^ +/gm, '');
    for (const [how, form] of [
      ['indented', text],
      ['without its blanks', flat],
      ['as a text within a message', text.replaceAll('"', '\\"')],
      ['from a journal', text.replace(/^/gm, 'Mar 01 10:00:00 yak-7 ocpp[1]: ')],
    ] as const) {
      const out = await pass(form, redactorOf(true));
      t.notMatch(out, 'hunter2', `${way}: ${how}`);
      t.match(out, /value\\*": \\*"900/, `${way}: ${how}: of the next one the name is known`);
    }
  }
  t.match(shown(text), 'hunter2', 'of a whole log the name would be there');
});

void t.test('a part that begins within a network profile', async (t) => {
  const text = indented(12, [
    '"server": "vpn.depot.example",',
    '"user": "alice",',
    '"key": "shared-5",',
    '"type": "IPSec"',
    '}',
  ]);
  const next = indented(12, ['{', '    "key": "HeartbeatInterval",', '    "readonly": false,', '    "value": "300"']);
  for (const [way, pass] of WAYS) {
    const out = await pass(`${text}\n${next}\n`, redactorOf(true));
    t.notMatch(out, /alice|shared-5/, way);
    t.ok(out.includes('vpn.depot.example') && out.includes('"IPSec"'), `${way}: what is no secret stays`);
    t.ok(out.endsWith(`${next}\n`), `${way}: what begins later is known`);
  }
});

void t.test(
  'a value beside a name that is there is no secret, one behind the object of that name may be',
  async (t) => {
    for (const [way, pass] of WAYS) {
      const own = '    "key": "HeartbeatInterval",\n    "readonly": false,\n    "value": "300"\n},\n';
      t.match(await pass(`ready\n${own}`, redactorOf(true)), '"value": "300"', way);
      const foreign = '[2,"9","Report",{"component":{"name":"Yak"}}]\n    "value": "hunter2"\n';
      t.notMatch(await pass(foreign, redactorOf(true)), 'hunter2', `${way}: a name within a message of its own`);
      const component =
        '        "name": "SecurityCtrlr"\n    },\n    "variableAttribute": [\n        {\n            "value": "hunter2"\n';
      t.notMatch(await pass(component, redactorOf(true)), 'hunter2', way);
    }
  },
);
