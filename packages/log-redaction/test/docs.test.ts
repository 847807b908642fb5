/** What docs/logs.md says of redaction. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import { parseStationsFile } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { createRedactor } from '../src/redactor.js';
import { rulesInForce } from '../src/settings.js';

const text = await readFile(join(import.meta.dirname, '../../../../docs/logs.md'), 'utf8');

void t.test('its table has every rule, and its example of a stations file works', (t) => {
  t.same(
    [...text.matchAll(/^\| `(\w+)` .*\| `\[\w+:\.\.\.\]`/gm)].map(([, rule]) => rule),
    REDACTION_RULES,
  );
  const [, yaml = ''] = /```yaml\n(defaults:[^`]*)```/.exec(text) ?? [];
  const driverEntry = parseStationsFile(yaml).defaults?.driver as never;
  const rules = rulesInForce({ LOG_REDACTION: ['all'] }, { driverEntry });
  const redactor = createRedactor({ rules, key: 'a key that is for this test alone' });
  t.match(
    redactor.line('Badge No. 123456, password=hush'),
    /^Badge No\. \[badge:\w{10}\], password=\[secret:\w{10}\]$/,
  );
  t.end();
});
