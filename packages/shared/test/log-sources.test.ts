import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import t from 'tap';

const file = (logs: string, where = 'stations:\n  gate-1:\n    driver:') =>
  `${where}\n      transport: local\n      state_dir: /var/lib/khumbu\n      profile: rauc\n      logs: ${logs}\n`;

void t.test('sources of logs are checked when the file is read, with their place in it', (t) => {
  const good =
    '{ DiagnosticsLog: [{ journal: { units: [everest.service], priority: info, fields: [CODE_LINE] } }, { everest: ocpp, folder: /var/log/o }, { name: own, files: ["/var/log/m/*.log*"] }, { command: [/opt/l, "{oldest}", "{latest}"] }], SecurityLog: [] }';
  const profile = profileFrom(parseStationsFile(file(good)), 'gate-1');
  const entry = profile?.driverEntry;
  if (!entry || 'package' in entry) throw new Error('it is a real one');
  t.equal(entry.logs?.DiagnosticsLog?.length, 4);
  t.same(entry.logs?.SecurityLog, []);
  const wrong: readonly (readonly [logs: string, message: RegExp])[] = [
    ['{ DataCollectorLog: [] }', /line 7, column \d+: .*DataCollectorLog is not known/],
    [
      '{ DiagnosticsLog: [{ jornal: {} }] }',
      /line 7, column \d+: \/stations\/gate-1\/driver\/logs\/DiagnosticsLog\/0 .*jornal is not known/,
    ],
    ['{ DiagnosticsLog: [{ journal: { unit: x } }] }', /DiagnosticsLog\/0\/journal .*unit is not known/],
    ['{ DiagnosticsLog: [{ journal: { priority: loud } }] }', /0\/journal\/priority .*emerg, alert/],
    ['{ DiagnosticsLog: [{ files: [relative/*.log] }] }', /0\/files\/0 must match pattern/],
    ['{ DiagnosticsLog: [{ files: [] }] }', /0\/files must NOT have fewer than 1 items/],
    ['{ DiagnosticsLog: [{ everest: diary }] }', /0\/everest .*ocpp, session, security/],
    ['{ DiagnosticsLog: [{ command: [x, "from {oldest}"] }] }', /0\/command\/1 must match pattern/],
    ['{ DiagnosticsLog: [{ name: ../x, files: [/a] }] }', /0\/name must match pattern/],
    [
      '{ SecurityLog: [{ name: a, files: [/a] }, { name: a, files: [/b] }] }',
      /line 7, column \d+: .*SecurityLog\/1\/name is the name of another source/,
    ],
  ];
  for (const [logs, message] of wrong)
    t.throws(() => parseStationsFile(file(logs)), { code: 'STATIONS_FILE_INVALID', message }, logs);
  t.end();
});

void t.test('lists of the defaults are replaced as a whole', (t) => {
  const text = `${file('{ DiagnosticsLog: [{ everest: ocpp }], SecurityLog: [] }', 'defaults:\n  driver:').replaceAll('\n      ', '\n    ')}stations:\n  gate-1: { driver: { logs: { DiagnosticsLog: [{ files: [/a] }] } } }\n`;
  const entry = profileFrom(parseStationsFile(text), 'gate-1')?.driverEntry;
  t.match(entry, { logs: { DiagnosticsLog: [{ files: ['/a'] }], SecurityLog: [] } });
  t.end();
});
