/** `npm run station-add`: an entry is written step by step, its host key confirmed, and looked at before it counts. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseStationsFile } from '@khumbu/shared/stations/stations-file';
import { hasSshd, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { runScript } from './scripts.js';

t.setTimeout(900_000);
const only = { skip: hasSshd() ? false : 'there is no sshd' };
const TEXT = `# by hand
stations:
  # the old one
  gate-1: { driver: simulated }
unknown_stations: refuse # yes
`;

/** As the template: `evidence` tells, the others are not called. */
const MAKER = `#!/bin/sh
[ "$1" = evidence ] || exit 1
[ ! -e "\${0%/*}/broken" ] || { echo 'no slot' >&2; exit 1; }
echo '{"boot_id": "b-1", "healthy": true, "slot": "A"}'
`;

interface Site {
  readonly dir: string;
  readonly sshd: Sshd;
  readonly file: string;
  readonly known: string;
  readonly options: readonly string[];
  readonly fingerprint: string;
}

async function makeSite(t: Test): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-add-'));
  const sshd = await startSshd({ dir: join(dir, 'sshd') });
  t.teardown(async () => {
    await sshd.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const at = (name: string): string => join(dir, name);
  writeFileSync(at('maker'), MAKER, { mode: 0o755 });
  writeFileSync(at('stations.yml'), TEXT, { mode: 0o640 });
  const hostKey = join(dir, 'sshd', 'host_key.pub');
  const [, fingerprint = ''] = execFileSync('ssh-keygen', ['-lf', hostKey]).toString('utf8').split(' ');
  const ways = {
    station: 'gate-3',
    file: at('stations.yml'),
    host: '127.0.0.1',
    port: String(sshd.port),
    user: sshd.user,
    key: sshd.privateKeyFile,
    'known-hosts': at('known'),
    'state-dir': at('state'),
    program: at('maker'),
  };
  return {
    dir,
    sshd,
    file: at('stations.yml'),
    known: at('known'),
    fingerprint,
    options: Object.entries(ways).flatMap(([name, value]) => [`--${name}`, value]),
  };
}

await t.test('by a script: every answer is an option', only, async (t) => {
  const { dir, file, known, options, fingerprint, sshd } = await makeSite(t);
  const add = (...more: readonly string[]) => runScript('station-add', [...options, '--defaults', ...more]);
  t.match(await add(), { code: 1, output: /nothing was pinned/ }, 'nobody confirmed the key');
  t.match(await add('--fingerprint', 'SHA256:other'), { code: 1, output: /not the key of --fingerprint/ });
  t.notOk(existsSync(known));
  t.equal(readFileSync(file, 'utf8'), TEXT);

  // No EVerest and no systemd run where this is tried: restart and reboot are the maker's, who has them.
  const done = await add('--fingerprint', fingerprint);
  t.match(done, { code: 0, stdout: /gate-3 \(ssh\/command\)[\s\S]*install +can/ }, done.output);
  t.match(done.output, new RegExp(`Logged in at \\S+:${sshd.port}: it is not in the security log`));
  const after = readFileSync(file, 'utf8');
  const [head = '', tail = ''] = TEXT.split('unknown_stations');
  t.ok(after.startsWith(head) && after.endsWith(`unknown_stations${tail}`), after);
  t.equal(statSync(file).mode & 0o777, 0o640);
  t.match(parseStationsFile(after).stations?.['gate-3']?.driver, {
    transport: 'ssh',
    port: sshd.port,
    private_key_file: sshd.privateKeyFile,
    profile: 'command',
    command: { install: [join(dir, 'maker'), 'install', '{image}', '{sha256}', '{operation}'] },
  });
  const secret = readFileSync(sshd.privateKeyFile, 'utf8').split('\n')[1] ?? 'none';
  t.notMatch(after, secret, 'no key in the file');
  t.match(await add(), { code: 1, output: /gate-3 is in the stations file/ });
  t.equal(readFileSync(file, 'utf8'), after);
  t.notOk(existsSync(join(dir, 'state')), 'nothing was written at the station');
});

await t.test('a check that fails leaves the file as it was, unless that is wanted', only, async (t) => {
  const { dir, file, options, fingerprint } = await makeSite(t);
  writeFileSync(join(dir, 'broken'), '');
  const given = [...options, '--fingerprint', fingerprint, '--defaults'];
  const failed = await runScript('station-add', given);
  t.match(failed, { code: 1, stdout: /install +CANNOT/, output: /is as it was/ });
  t.equal(readFileSync(file, 'utf8'), TEXT);
  const kept = await runScript('station-add', [...given, '--keep']);
  t.match(kept, { code: 1, output: /gate-3 is in/ });
  t.match(readFileSync(file, 'utf8'), /gate-3:/);
  // The other profile is not there, and is looked at all the same.
  const rauc = await runScript('station-add', [...given, '--station', 'gate-4', '--profile', 'rauc', '--keep']);
  t.match(parseStationsFile(readFileSync(file, 'utf8')).stations?.['gate-4']?.driver, {
    profile: 'rauc',
    rauc: { program: ['rauc'] },
  });
  t.match(rauc, { code: 1, stdout: /ssh\/rauc/ });
  const bySwupdate = ['--station', 'gate-5', '--profile', 'swupdate', '--keep'];
  t.match(await runScript('station-add', [...given, ...bySwupdate]), { code: 2, output: /--running-slot/ });
  const slot = ['--running-slot', '/opt/slot', '--slot-variable', 'BOOT_SLOT'];
  t.match(await runScript('station-add', [...given, ...bySwupdate, ...slot]), { stdout: /ssh\/swupdate/ });
  t.match(parseStationsFile(readFileSync(file, 'utf8')).stations?.['gate-5']?.driver, {
    profile: 'swupdate',
    swupdate: { client: ['swupdate-client'], running_slot: ['/opt/slot'], boot_variables: ['BOOT_SLOT'] },
  });
});

await t.test('by a person, question by question', only, async (t) => {
  const { dir, file, sshd, known } = await makeSite(t);
  const answers = [
    file,
    'gate-3',
    '',
    '127.0.0.1',
    String(sshd.port),
    sshd.user,
    sshd.privateKeyFile,
    known,
    'yes',
    join(dir, 'state'),
    'command',
    join(dir, 'maker'),
  ];
  const done = await runScript('station-add', [], `${answers.join('\n')}\n`);
  t.match(done, { code: 0, output: /Is it the same\? Type yes[\s\S]*gate-3 is in/ }, done.output);
  t.match(parseStationsFile(readFileSync(file, 'utf8')).stations?.['gate-3']?.driver, { user: sshd.user });
  const other = await runScript(
    'station-add',
    ['--file', file, '--known-hosts', `${known}-2`],
    'gate-4\n\n127.0.0.1\n',
  );
  t.not(other.code, 0, 'input that ends pins nothing');
  t.notOk(existsSync(`${known}-2`));
});

await t.test('what is wrong is said before anything is done', only, async (t) => {
  const { file, options, fingerprint, known } = await makeSite(t);
  const given = [...options, '--defaults', '--fingerprint', fingerprint];
  for (const [more, code] of [
    [['--transport', 'telnet'], 2],
    [['--port', '0'], 2],
    [['--profile', 'magic'], 2],
    [['--nonsense'], 2],
    [['--port', '1'], 1],
  ] as const)
    t.match(await runScript('station-add', [...given, ...more]), { code }, more.join(' '));
  chmodSync(file, 0o644);
  writeFileSync(file, 'stations: [');
  rmSync(known, { force: true });
  t.match(await runScript('station-add', given), { code: 1, output: /line 1/ });
  t.notOk(existsSync(known));
});
