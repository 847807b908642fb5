import t from 'tap';
import { addStation } from '../src/stations/add-station.js';
import type { DriverEntry } from '../src/stations/driver-entry.js';
import { parseStationsFile } from '../src/stations/stations-file.js';

const ENTRY: DriverEntry = {
  transport: 'local',
  state_dir: '/var/lib/khumbu-station',
  profile: 'command',
  command: { install: ['sudo', '/opt/maker', '{image}', ''], evidence: ['/opt/maker', 'evidence'] },
};
const TEXT = `# yaml-language-server: $schema=x
defaults:   {settle_ms: 5}   # odd spaces stay

stations:
    # the old one
    gate-1: { driver: simulated }   # at the end
    gate-2:
        driver:   simulated
        announce: false  # here as well
unknown_stations: refuse
# the end
`;

void t.test('all that people wrote stays as it is', async (t) => {
  const after = addStation(TEXT, 'gate-3', ENTRY);
  const [head, tail] = TEXT.split('unknown_stations');
  t.ok(after.startsWith(head ?? ''));
  t.ok(after.endsWith(`unknown_stations${tail}`));
  t.match(after, /^ {4}gate-3:\n {6}driver:\n {8}transport: local$/m);
  t.match(after, /install: \[sudo, \/opt\/maker, "\{image\}", ""\]/);
  t.strictSame(parseStationsFile(after).stations?.['gate-3'], { driver: ENTRY });
  t.equal(addStation(after, 'gate-4', 'simulated').replace(/ {4}gate-4:\n {6}driver: simulated\n/, ''), after);
});

void t.test('files of other forms', async (t) => {
  const forms = [
    '',
    '# nothing yet\n',
    '{}',
    'stations: {}\n',
    'stations: { a: { driver: simulated } }\n',
    'stations:\n  a: { driver: simulated }',
    'stations:\n  a:\n    driver: simulated\n\n\n',
    'stations:\n  "a b": { driver: simulated }\n# the end',
    'stations:\n  a:\n    driver: simulated\n  # about nothing\n',
    JSON.stringify({ stations: { a: { driver: 'simulated' } } }),
  ];
  for (const text of forms) {
    const before = parseStationsFile(text).stations ?? {};
    const after = addStation(text, 'gate: #3', ENTRY);
    t.strictSame(parseStationsFile(after).stations, { ...before, 'gate: #3': { driver: ENTRY } }, JSON.stringify(text));
    for (const line of text.split('\n').filter((part) => part.startsWith('#'))) t.ok(after.includes(line), line);
  }
});

void t.test('what is refused', async (t) => {
  t.throws(() => addStation(TEXT, 'gate-1', ENTRY), { code: 'STATION_THERE' });
  t.throws(() => addStation('stations: [', 'gate-1', ENTRY), { code: 'STATIONS_FILE_INVALID' });
  t.throws(() => addStation(TEXT, 'gate-3', { ...ENTRY, state_dir: 'relative' }), { code: 'STATIONS_FILE_INVALID' });
});
