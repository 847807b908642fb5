/** The driver of a station in the stations file: what may stand there, and where a mistake is. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openStationDirectory, parseStationsFile, profileFrom } from '../src/stations/stations-file.js';

const COMMAND = '{install: [/opt/i, "{image}", "{sha256}"], evidence: [/opt/e]}';
const GOOD = `stations:
  gate-3:
    driver:
      transport: ssh
      host: 10.0.7.3
      user: khumbu
      private_key_file: /etc/khumbu/key
      known_hosts_file: /etc/khumbu/known_hosts
      state_dir: /var/lib/khumbu-station
      profile: command
      command: ${COMMAND}
      reboot: [sudo, systemctl, reboot]
`;

await t.test('what may stand there', (t) => {
  const profile = profileFrom(parseStationsFile(GOOD), 'gate-3');
  t.match(profile, { driver: 'ssh/command', requireSignature: true, certificate: 'chain', settleMs: 30_000 });
  t.match(profile?.driverEntry, { host: '10.0.7.3', reboot: ['sudo', 'systemctl', 'reboot'] });
  const local = `stations: {a: {driver: {transport: local, state_dir: /var/x, profile: command, command: ${COMMAND}}}}`;
  t.match(profileFrom(parseStationsFile(local), 'a'), { driver: 'local/command' });
  const other = 'stations: {a: {driver: {package: "@maker/driver", settings: {x: 1}}}}';
  t.match(profileFrom(parseStationsFile(other), 'a'), {
    driver: '@maker/driver',
    driverEntry: { settings: { x: 1 } },
  });
  const simulated = profileFrom(parseStationsFile('stations: {a: {driver: simulated}}'), 'a');
  t.match(simulated, { driver: 'simulated' });
  t.notOk(simulated && 'driverEntry' in simulated);
  t.end();
});

await t.test('the examples are ones', (t) => {
  const read = (name: string): string => readFileSync(new URL(`../../../../${name}`, import.meta.url), 'utf8');
  const inDocs = [...read('docs/stations.md').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  const nameOf = (text: string) => Object.values(parseStationsFile(text).stations ?? {}).map(({ driver }) => driver);
  t.match(inDocs.flatMap(nameOf), [
    { transport: 'ssh', profile: 'command' },
    { transport: 'ssh', profile: 'rauc' },
  ]);
  t.match(profileFrom(parseStationsFile(read('infra/station/stations.example.yml')), 'gate-4'), {
    driver: 'local/command',
  });
  t.end();
});

await t.test('where a mistake is, and what', (t) => {
  const cases: [RegExp | string, string, RegExp][] = [
    ['transport: ssh', 'transport: telnet', /line 4, column 18: .*ssh/],
    ['      host: 10.0.7.3\n', '', /line 4, column 7: .*host/],
    ['      private_key_file: /etc/khumbu/key\n', '', /line 4, column 7: .*private_key_file/],
    ['profile: command', 'profile: magic', /line 10, column 16: .*command/],
    [/ {6}command: .*\n/, '', /line 4, column 7: .*command/],
    ['user: khumbu', 'user: "a b"', /line 6, column 13/],
    ['state_dir: /var', 'state_dir: var', /line 9, column 18/],
    ['user: khumbu', 'user: khumbu\n      hots: x', /line 7, column 7: .*hots/],
    ['"{image}"', '"--file={image}"', /line 11, column 35/],
    ['"{image}"', '"a\\nb"', /line 11, column 35/],
    ['[sudo, systemctl, reboot]', '"sudo systemctl reboot"', /line 12, column 15: .*array/],
    ['[sudo, systemctl, reboot]', '[]', /line 12, column 15/],
  ];
  for (const [from, to, message] of cases) {
    const text = GOOD.replace(from, to);
    t.not(text, GOOD, 'there is something to replace');
    t.throws(() => parseStationsFile(text), { code: 'STATIONS_FILE_INVALID', message }, `${from} -> ${to}`);
  }
  t.throws(() => parseStationsFile('stations: {a: {driver: ssh}}'), { message: /driver must be equal to .*simulated/ });
  t.end();
});

await t.test('a broken new file keeps the old one', async (t) => {
  const path = join(t.testdir({}), 'stations.yml');
  writeFileSync(path, GOOD);
  const reports: string[] = [];
  const heard = new Promise<void>((resolve) => {
    const directory = openStationDirectory(path, {
      usable: () => {},
      unusable: (_setting, error) => {
        reports.push(error.message);
        t.match(directory.profileOf('gate-3'), { driver: 'ssh/command' });
        directory.close();
        resolve();
      },
    });
  });
  writeFileSync(path, GOOD.replace('profile: command', 'profile: magic'));
  // The file is followed without keeping the process.
  const alive = setInterval(() => {}, 1000);
  await heard;
  clearInterval(alive);
  t.match(reports, [/line 10, column 16/]);
});
