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
    { transport: 'ssh', profile: 'command', depot_url: 'http://10.0.7.1:8080' },
    { transport: 'ssh', profile: 'rauc' },
    { transport: 'ssh', profile: 'swupdate' },
    { transport: 'local', restart_everest: { management_api: true } },
    { transport: 'local', network_manager: { rollback_s: 40 } },
    { transport: 'local', logs: { SecurityLog: [{}, { everest: 'security' }] } },
    { transport: 'ssh', profile: 'rauc', host_key_alias: 'gate-7' },
  ]);
  const [, inCommon = ''] = [...read('docs/stations-file.md').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
    ([, x]) => x,
  );
  t.match(profileFrom(parseStationsFile(inCommon), 'gate-6')?.driverEntry, {
    host: '10.0.7.6',
    profile: 'rauc',
    limits: { command_s: 90, connect_s: 30 },
  });
  t.match(profileFrom(parseStationsFile(read('infra/station/stations.example.yml')), 'gate-4'), {
    driver: 'local/command',
  });
  t.end();
});

await t.test('where a mistake is, and what', (t) => {
  const cases: [RegExp | string, string, RegExp][] = [
    ['transport: ssh', 'transport: telnet', /line 4, column 18: .*ssh/],
    ['      host: 10.0.7.3\n', '', /line 4, column 7: .*host/],
    ['host: 10.0.7.3', 'hosst: 10.0.7.3', /line 5, column 7: .*: hosst is not known/],
    ['profile: command', 'profil: command', /line 10, column 7: .*: profil is not known/],
    ['      private_key_file: /etc/khumbu/key\n', '', /line 4, column 7: .*private_key_file/],
    [/reboot: .*/, 'restart_everest: {management_api: yes}', /line 12, column .*management_api/],
    [/reboot: .*/, 'restart_everest: systemctl restart everest', /line 12, column 24: .*array/],
    ['profile: command', 'profile: magic', /line 10, column 16: .*command/],
    [/ {6}command: .*\n/, '', /line 4, column 7: .*command/],
    ['user: khumbu', 'user: "a b"', /line 6, column 13/],
    ['state_dir: /var', 'state_dir: var', /line 9, column 18/],
    ['user: khumbu', 'user: khumbu\n      hots: x', /line 7, column 7: .*hots/],
    ['"{image}"', '"--file={image}"', /line 11, column 35/],
    ['"{image}"', '"{url}"', /line 4, column 7: .*depot_url/],
    ['"{image}", "{sha256}"', '"{url}"', /line 4, column 7: .*depot_url/],
    [
      '"{image}", "{sha256}"], evidence: [/opt/e]}',
      '"{url}"], evidence: [/opt/e]}\n      depot_url: http://d:1',
      /install must contain/,
    ],
    ['profile: command', 'profile: command\n      depot_url: http://depot:8080/', /line 11, column 18/],
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

const DEFAULTS = `defaults:
  driver:
    transport: ssh
    user: khumbu
    private_key_file: /etc/khumbu/key
    known_hosts_file: /etc/khumbu/known_hosts
    state_dir: /var/lib/khumbu-station
    profile: command
    command: ${COMMAND}
    limits: {connect_s: 20, command_s: 90}
    reboot: [sudo, systemctl, reboot]
stations:
  gate-1: {driver: {host: 10.0.7.1}}
  gate-2: {driver: {host: 10.0.7.2, reboot: [/opt/r], limits: {connect_s: 5}, command: {logs: [/opt/l]}, agent_socket: /a}}
  gate-3: {driver: {transport: local}}
  bench: {driver: simulated}
  other: {driver: {package: '@maker/driver'}}
`;

await t.test('what all stations have in common stands under defaults, member by member', (t) => {
  const file = parseStationsFile(DEFAULTS);
  const entryOf = (station: string) => profileFrom(file, station)?.driverEntry;
  const { driver: common } = file.defaults ?? {};
  t.same(entryOf('gate-1'), { ...Object(common), host: '10.0.7.1' });
  t.match(entryOf('gate-2'), {
    reboot: ['/opt/r'],
    limits: { connect_s: 5, command_s: 90 },
    command: { install: ['/opt/i', '{image}', '{sha256}'], logs: ['/opt/l'] },
    agent_socket: '/a',
  });
  t.notOk('private_key_file' in Object(entryOf('gate-2')), 'its own way to log in takes the place of the other one');
  t.match(profileFrom(file, 'gate-3'), { driver: 'local/command' });
  t.match(profileFrom(file, 'bench'), { driver: 'simulated' });
  t.same(entryOf('other'), { package: '@maker/driver' });
  t.equal(profileFrom(file, 'unlisted'), undefined);
  const packaged = parseStationsFile(
    'defaults: {driver: {package: x, settings: {a: 1}}}\nstations: {a: {}, b: {driver: {settings: {b: 2}}}}',
  );
  t.same(profileFrom(packaged, 'a')?.driverEntry, { package: 'x', settings: { a: 1 } });
  t.same(
    profileFrom(packaged, 'b')?.driverEntry,
    { package: 'x', settings: { b: 2 } },
    'settings are left as they are',
  );
  t.end();
});

await t.test('where a mistake is if a part stands under defaults', (t) => {
  const cases: [string, string, RegExp][] = [
    ['transport: ssh', 'transport: telnet', /line 3, column 16: .*ssh/],
    ['user: khumbu', 'user: khumbu\n    hots: x', /line 5, column 5: .*hots/],
    ['connect_s: 20', 'connect_s: 0', /line 10, column 25/],
    ['{driver: {host: 10.0.7.1}}', '{}', /line 13, column 11: .*\/stations\/gate-1\/driver must .*host.*defaults/],
    ['{host: 10.0.7.1}', '{port: 2222}', /line 13, column 20: .*gate-1.*host/],
    ['{host: 10.0.7.1}', '{host: 10.0.7.1, profile: magic}', /line 13, column 46: .*command/],
    ['{host: 10.0.7.1}', '{host: 10.0.7.1, hots: x}', /line 13, column 37: .*hots/],
    ['{host: 10.0.7.1}', '{settings: {}}', /line 13, column 20: .*gate-1.*transport/],
    [`    command: ${COMMAND}\n`, '', /line 12, column 20: .*gate-1.*command/],
    ['    user: khumbu\n', '', /line 12, column 20: .*gate-1.*user/],
  ];
  for (const [from, to, message] of cases) {
    const text = DEFAULTS.replace(from, to);
    t.not(text, DEFAULTS, 'there is something to replace');
    t.throws(() => parseStationsFile(text), { code: 'STATIONS_FILE_INVALID', message }, `${from} -> ${to}`);
  }
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
