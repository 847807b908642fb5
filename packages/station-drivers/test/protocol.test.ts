/** What stations say, and what we say to them: pure parts. */
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { algorithmsFor, fingerprint, judgeHostKey, pinnedKeys } from '@khumbu/shared/ssh/known-hosts';
import t from 'tap';
import { timeValues, withValues } from '../src/profiles/verbs.js';
import { effectOf, evidenceOf, readClockText, readEvidence, readInstall, readLines } from '../src/station/protocol.js';
import { readSections } from '../src/station/station-program.js';
import { quoteArgv } from '../src/transports/ssh/quote.js';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const key = (name: string): string => Buffer.from(`key ${name}`).toString('base64');

await t.test('a quoted argument vector arrives as it was, whatever is in it', (t) => {
  const argv = [
    'a b',
    "it's",
    '$(touch /x)',
    '`x`',
    '"',
    '\\',
    '*',
    '~',
    '!',
    ';',
    '-n',
    '',
    'ü',
    "'\\''",
    'a\nb',
    '{x}',
  ];
  for (const shell of ['sh', 'bash']) {
    const out = execFileSync(shell, ['-c', quoteArgv(['printf', '%s\\0', ...argv])]).toString('utf8');
    t.same(out.split('\0').slice(0, -1), argv, shell);
  }
  t.throws(() => quoteArgv(['a\0b']), { code: 'ARGUMENT_REFUSED' });
  t.end();
});

await t.test('placeholders are whole arguments', (t) => {
  t.same(withValues(['p', '{image}', 'x{image}', '{other}', '{toString}'], { image: '/a b;c' }), [
    'p',
    '/a b;c',
    'x{image}',
    '{other}',
    '{toString}',
  ]);
  t.same(timeValues(new Date(1_234_567_890_123)), { time: '2009-02-13T23:31:30.123Z', seconds: '@1234567890.123' });
  t.end();
});

await t.test('known_hosts: plain, with port, hashed, patterns, negation, revoked', (t) => {
  const salt = randomBytes(20);
  const hashed = `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update('[gate]:2222').digest('base64')}`;
  const text = [
    '# a comment',
    `gate ssh-ed25519 ${key('22')}`,
    `[gate]:2222,other ssh-rsa ${key('plain')} a comment`,
    `${hashed} ssh-ed25519 ${key('hashed')}`,
    `10.0.*.?,!10.0.9.9 ecdsa-sha2-nistp256 ${key('pattern')}`,
    `@revoked gate ssh-ed25519 ${key('old')}`,
    `@cert-authority * ssh-ed25519 ${key('authority')}`,
    'broken line',
  ].join('\r\n');
  const names = (host: string, port: number) =>
    pinnedKeys(text, host, port).map(({ key, revoked }) => `${key.toString('utf8')}${revoked ? ' revoked' : ''}`);
  t.same(names('gate', 22), ['key 22', 'key old revoked']);
  t.same(names('GATE', 2222), ['key plain', 'key hashed']);
  t.same(names('10.0.7.3', 22), ['key pattern']);
  t.same(names('10.0.9.9', 22), []);
  t.same(names('10.0.7.33', 22), []);
  t.same(names('gate', 23), []);
  const pinned = pinnedKeys(text, 'gate', 22);
  const judge = (name: string) => judgeHostKey(pinned, Buffer.from(name));
  t.same([judge('key 22'), judge('key old'), judge('key 23')], ['pinned', 'revoked', 'changed']);
  t.equal(judgeHostKey([], Buffer.from('key 22')), 'unknown');
  t.same(algorithmsFor(pinnedKeys(text, 'gate', 2222)), ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-ed25519']);
  t.match(fingerprint(Buffer.from('x')), /^SHA256:[A-Za-z0-9+/]{43}$/);
  t.end();
});

await t.test('what became of an effect', (t) => {
  const see = (state: string, out = '', err = '', step: 'install' | 'reboot' = 'install') =>
    effectOf(step, { state, out: Buffer.from(out), err: Buffer.from(err), limitS: 5 });
  t.same(see('absent'), { state: 'absent' });
  t.same(see('running', '{"progress": 3}\n{"progress": 42.5}\n{"progress": 1000}\nnoise\n{"prog'), {
    state: 'running',
    progressPercent: 42.5,
  });
  t.same(see('ended 0 1'), { state: 'succeeded', rebootNeeded: true });
  t.same(see('ended 0 1', '{"reboot_needed": false}\n'), { state: 'succeeded', rebootNeeded: false });
  t.same(see('ended 0 1', '', '', 'reboot'), { state: 'succeeded' });
  t.same(see('ended 65 1', '', 'a\nnot for this board\n'), {
    state: 'failed',
    code: 'verification_failed',
    message: 'not for this board',
  });
  t.match(see('ended 65 1', '', '', 'reboot'), { state: 'failed', code: 'failed' });
  t.match(see('ended 75 1'), { state: 'failed', message: 'the station stayed busy' });
  t.match(see('ended 1 1', '{"message": "no\\u001b[31m way"}\n', 'x'), { state: 'failed', message: 'no [31m way' });
  t.match(see('ended late 1'), { state: 'failed', message: 'it was not done in 5 s' });
  t.match(see('lost'), { state: 'failed', code: 'failed' });
  t.throws(() => see('sleeping'), { code: 'STATION_FAILED' });
  t.same(readLines(Buffer.from('{"progress": "5", "reboot_needed": "no", "message": 5}\n[1]\n{"__proto__": 1}\n')), {});
  t.end();
});

await t.test('evidence: required, bounded, in one form', (t) => {
  const said = {
    boot_id: 'x',
    healthy: true,
    running_sha256: A.toUpperCase(),
    version: 'v\u00071',
    slot: 'A',
    more: {},
  };
  t.same(readEvidence(JSON.stringify(said)), {
    bootId: 'x',
    healthy: true,
    runningSha256: A,
    version: 'v 1',
    slot: 'A',
  });
  for (const bad of [
    '',
    '[]',
    '{"boot_id": "x"}',
    '{"boot_id": 5, "healthy": true}',
    'null',
    '{"boot_id":"x","healthy":1}',
  ])
    t.throws(() => readEvidence(bad), { code: 'STATION_UNREACHABLE' }, bad);
  t.throws(() => readEvidence('{"boot_id":"x","healthy":true,"running_sha256":"zz"}'), { code: 'STATION_UNREACHABLE' });
  t.throws(() => readEvidence(`${'['.repeat(60_000)}`), { code: 'STATION_UNREACHABLE' });
  t.end();
});

await t.test('which install runs', (t) => {
  const record = (id: string, sha: string, reboot: string, boot: string, slot?: string) =>
    readInstall(
      Buffer.from(`${id} ${sha} ${reboot} ${boot} 1000\n${slot === undefined ? '' : `{"slot": "${slot}"}`}\n`),
    );
  const installs = [record('op-1', A, 'yes', 'b1', 'A'), record('op-2', B, 'yes', 'b2', 'B')].filter((one) => !!one);
  const by = (boot: string, evidence: object) => {
    const { runningInstalledBy, runningImageSha256 } = evidenceOf(
      installs,
      boot,
      { bootId: boot, healthy: true, ...evidence },
      false,
    );
    return [runningInstalledBy, runningImageSha256];
  };
  t.same(by('b3', {}), ['op-2', B], 'the newest, after a boot');
  t.same(by('b2', {}), ['op-1', A], 'not before the boot');
  t.same(by('b3', { slot: 'B' }), ['op-1', A], 'fallen back to the slot from before');
  t.same(by('b3', { slot: 'A' }), ['op-2', B]);
  t.same(by('b3', { runningSha256: A }), ['op-1', A], 'the station knows its image');
  t.same(by('b3', { runningSha256: 'c'.repeat(64) }), [undefined, 'c'.repeat(64)], 'installed by someone else');
  t.same(readInstall(Buffer.from('half a')), undefined);
  const atOnce = [record('op-3', A, 'no', 'b1')].filter((one) => !!one);
  t.match(evidenceOf(atOnce, 'b1', { bootId: 'b1', healthy: true }, true), { runningInstalledBy: 'op-3', busy: true });
  t.end();
});

await t.test('clocks and sections', (t) => {
  t.equal(readClockText(Buffer.from('1234567890.1234567\n')).getTime(), 1_234_567_890_123);
  t.equal(readClockText(Buffer.from('1234567890.%N\n')).getTime(), 1_234_567_890_000, 'date of busybox');
  t.throws(() => readClockText(Buffer.from('noon')), { code: 'STATION_UNREACHABLE' });
  const sections = readSections(Buffer.from('@out 5\na\n@b \n@none 0\n\n@out 1\nx\n'));
  t.same(sections.get('out')?.map(String), ['a\n@b ', 'x']);
  t.same(sections.get('none')?.map(String), ['']);
  for (const bad of ['x', '@out 5\nab', '@out 99999999999\n', '@out -1\n', 'banner\n@out 1\nx\n'])
    t.throws(() => readSections(Buffer.from(bad)), { code: 'STATION_FAILED' }, bad);
  t.end();
});

await t.test('the station program is plain sh', (t) => {
  const file = fileURLToPath(new URL('../../station/khumbu-station.sh', import.meta.url));
  t.notMatch(readFileSync(file, 'utf8'), /\beval\b/);
  for (const shell of ['sh', 'bash', 'dash']) t.doesNotThrow(() => execFileSync(shell, ['-n', file]), shell);
  t.end();
});
