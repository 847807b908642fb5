import t from 'tap';
import { readYaml } from '../src/runtime/structured-text.js';
import { compileOwn, REDACTION_RULES, RedactRules, redactProblem } from '../src/stations/redact-rules.js';
import { parseStationsFile } from '../src/stations/stations-file.js';

const own = (expression: string, more: object = {}) => [{ name: 'fleet_card', expression, ...more }];

void t.test('names of rules and expressions of RE2 are taken', (t) => {
  for (const rules of [[], [...REDACTION_RULES], own('FLEET-(\\d{6})', { group: 1 }), own('(?i)badge [0-9a-f]+')]) {
    t.equal(redactProblem(rules), undefined);
  }
  t.end();
});

void t.test('what is wrong is said with its place', (t) => {
  const cases: [object[], string][] = [
    [own('(FLEET-\\d+'), 'expression: not in the syntax of RE2 at its character 1: missing closing )'],
    [
      own('id (?=secret)'),
      'expression: not in the syntax of RE2 at its character 4: invalid or unsupported Perl syntax',
    ],
    [own('(a+)\\1'), 'expression: not in the syntax of RE2 at its character 5: invalid escape sequence'],
    [own('a*'), 'expression: it must not fit an empty text'],
    [own('a(b)', { group: 2 }), 'group: the expression has no group 2'],
    [[{ name: 'certificates', expression: 'x' }], 'name: another rule has this name'],
    [[...own('x'), ...own('y')], 'name: another rule has this name'],
  ];
  for (const [rules, text] of cases) {
    const found = redactProblem(['credentials', ...(rules as ReturnType<typeof own>)]);
    t.match(found, { index: rules.length, text });
  }
  t.end();
});

void t.test('line and column in the file that has it', (t) => {
  const text = '- rfid_tokens\n- { name: fleet, expression: "([a-z" }\n';
  const check = (rules: Parameters<typeof redactProblem>[0]) => {
    const problem = redactProblem(rules);
    return problem && { path: [String(problem.index)], text: problem.text };
  };
  t.throws(() => readYaml(text, RedactRules, check), {
    code: 'TEXT_INVALID',
    message: /^line 2, column 3: expression: /,
  });
  t.throws(() => readYaml('- no_such_rule\n', RedactRules), { code: 'TEXT_INVALID', message: /^line 1, column 3: / });
  t.end();
});

void t.test('what hangs an engine that goes back does not hang this one', (t) => {
  t.equal(redactProblem(own('(a+)+$')), undefined);
  t.notOk(compileOwn('(a+)+$').test(`${'a'.repeat(20_000)}!`));
  t.ok(compileOwn('(a+)+$').test('a'.repeat(20_000)));
  t.end();
});

void t.test('the stations file says where an expression is wrong, also among the defaults', (t) => {
  const driver = (redact: string) =>
    `driver: { profile: rauc, state_dir: /var/lib/khumbu, transport: local, logs: { redact: [${redact}] } }`;
  const own = (expression: string) => `certificates, { name: fleet, expression: "${expression}" }`;
  const at = (text: string) => parseStationsFile(text);
  t.doesNotThrow(() => at(`stations:\n  cs-1:\n    ${driver(own('F-[0-9]+'))}\n`));
  for (const [text, place] of [
    [
      `stations:\n  cs-1:\n    ${driver(own('(F'))}\n`,
      /line 3, column \d+: \/stations\/cs-1\/driver\/logs\/redact\/1 expression: /,
    ],
    [`defaults:\n  ${driver(own('(F'))}\n`, /line 2, column \d+: \/defaults\/driver\/logs\/redact\/1 expression: /],
    [`stations:\n  cs-1:\n    ${driver('no_rule')}\n`, /line 3, column \d+: .*redact/],
  ] as const) {
    t.throws(() => at(text), { code: 'STATIONS_FILE_INVALID', message: place });
  }
  t.end();
});
