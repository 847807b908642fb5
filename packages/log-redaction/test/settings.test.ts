import { loadConfig } from '@khumbu/shared/runtime/config';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import { parseStationsFile } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { Type } from 'typebox';
import { REDACTION_SETTINGS, rulesForTexts, rulesInForce } from '../src/settings.js';

const own = { name: 'fleet', expression: 'F-[0-9]+' };
const entryWith = (redact: string) => {
  const text = `stations: {cs-1: {driver: {profile: rauc, state_dir: /var/x, transport: local, logs: ${redact}}}}`;
  return parseStationsFile(text).stations?.['cs-1']?.driver as never;
};
const load = (LOG_REDACTION?: string) => loadConfig(Type.Object(REDACTION_SETTINGS), { LOG_REDACTION });

void t.test('all rules are in force where nothing is said', (t) => {
  t.same(rulesInForce(load(), {}), REDACTION_RULES);
  t.same(rulesInForce(load(), { driverEntry: entryWith('{}') }), REDACTION_RULES);
  t.same(rulesInForce(load('none'), {}), []);
  t.same(rulesInForce(load('certificates, credentials'), {}), ['credentials', 'certificates']);
  t.throws(() => load('certificate'), { code: 'CONFIG_INVALID', message: /LOG_REDACTION/ });
  t.end();
});

void t.test('a station has its own; an own expression alone is added to those of the depot', (t) => {
  const inForce = (redact: string, depot?: string) => rulesInForce(load(depot), { driverEntry: entryWith(redact) });
  t.same(inForce('{redact: [exi_messages]}'), ['exi_messages']);
  t.same(inForce('{redact: []}'), []);
  t.same(inForce('{redact: [{name: fleet, expression: "F-[0-9]+"}]}', 'credentials'), ['credentials', own]);
  t.same(inForce('{redact: [certificates, {name: fleet, expression: "F-[0-9]+"}]}'), ['certificates', own]);
  t.end();
});

void t.test('what is said beside logs loses all that rules by name find, and what own expressions do', (t) => {
  const inForce = (redact: string) => rulesForTexts({ driverEntry: entryWith(redact) });
  t.same(rulesForTexts({}), REDACTION_RULES);
  t.same(inForce('{redact: []}'), REDACTION_RULES);
  t.same(inForce('{redact: [exi_messages, {name: fleet, expression: "F-[0-9]+"}]}'), [...REDACTION_RULES, own]);
  t.end();
});
