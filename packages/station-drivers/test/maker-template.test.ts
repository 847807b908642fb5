/** The template for makers, infra/station/maker.sh, with the rehearsal’s slots: what each verb does, also when it goes wrong. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { readEvidence } from '../src/station/protocol.js';

const INFRA = fileURLToPath(new URL('../../../../infra/station/', import.meta.url));
const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
const SHELLS: readonly (readonly [string, ...string[]])[] = [['sh'], ...(busybox ? [[busybox, 'sh'] as const] : [])];

function setUp(t: Test, shell: readonly [string, ...string[]], conf = '') {
  const dir = t.testdir({});
  const at = (name: string): string => join(dir, name);
  copyFileSync(join(INFRA, 'maker.sh'), at('maker'));
  const rehearsal = readFileSync(join(INFRA, 'rehearsal.conf'), 'utf8');
  writeFileSync(at('maker.conf'), `${rehearsal}\nDATA=${at('data')}\n${conf}\n`);
  const image = randomBytes(9_000_000);
  writeFileSync(at('image'), image);
  const [program, ...args] = shell;
  const call = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, [...args, at('maker'), ...words], { encoding: 'utf8' });
    return { status, stdout, last: stderr.trimEnd().split('\n').at(-1) ?? '' };
  };
  return {
    at,
    call,
    image,
    sha256: createHash('sha256').update(image).digest('hex'),
    evidence: () => readEvidence(call('evidence').stdout),
  };
}

for (const shell of SHELLS)
  await t.test(shell.join(' '), async (t) => {
    await t.test('from slot to slot', (t) => {
      const { at, call, image, sha256, evidence } = setUp(t, shell);
      const before = evidence();
      t.match(before, { slot: 'A', healthy: true });
      t.notOk('runningSha256' in before, 'a factory image');
      const { status, stdout } = call('install', at('image'), sha256, 'op-1');
      t.equal(status, 0);
      t.match(stdout, /^(\{"progress": \d+\}\n)+\{"progress": 100\}\n$/);
      t.same(evidence(), before, 'nothing of what runs is touched');
      t.equal(Buffer.compare(readFileSync(at('data/slot-B.img')), image), 0);
      call('reboot');
      const after = evidence();
      t.match(after, { slot: 'B', runningSha256: sha256 });
      t.not(after.bootId, before.bootId);
      t.equal(statSync(at('data/slot-B.sha256')).mode & 0o044, 0o044, 'whoever asks for evidence can read it');
      t.end();
    });

    await t.test('an image that cannot be written, after one that waits for its reboot', (t) => {
      const { at, call, sha256, evidence } = setUp(t, shell);
      t.equal(call('install', at('image'), sha256, 'op-1').status, 0);
      const other = call('install', at('image'), sha256.replace(/./g, '0'), 'op-2');
      t.match(other, { status: 1, last: /holds something else/ });
      call('reboot');
      t.match(evidence(), { slot: 'A' }, 'the half of it is nothing to boot');
      t.end();
    });

    const failures: readonly [string, string, number, RegExp][] = [
      ['another updater is at work', 'is_busy() { :; }', 75, /at work/],
      ['an image for another station', 'image_fits() { return 1; }', 65, /not for this station/],
      ['a slot that is not known', 'running_slot() { return 1; }', 1, /running_slot is not filled in/],
      ['a device that is none', 'slot_device() { echo /dev/no-such-device; }', 1, /no block device/],
      ['a slot without room', 'slot_device() { echo /proc/self/no/slot; }', 1, /cannot be written: .+/],
      ['a bootloader that refuses', 'boot_next() { return 1; }', 1, /bootloader does not take slot A/],
    ];
    for (const [what, conf, code, words] of failures)
      await t.test(what, (t) => {
        const { at, call, sha256 } = setUp(t, shell, conf);
        t.match(call('install', at('image'), sha256, 'op-1'), { status: code, last: words });
        t.notOk(existsSync(at('data/slot-B.sha256')));
        t.notOk(existsSync('/dev/no-such-device'));
        t.end();
      });

    await t.test('as it comes, without a conf', (t) => {
      const { at, call, sha256 } = setUp(t, shell);
      rmSync(at('maker.conf'));
      t.match(call('evidence'), { status: 1, stdout: '', last: /running_slot is not filled in/ });
      t.match(call('install', at('image'), sha256, 'op-1'), { status: 1, last: /running_slot is not filled in/ });
      t.match(call('install', at('image')), { status: 64 });
      t.match(call(), { status: 64, last: /there is no verb/ });
      t.end();
    });
  });

await t.test('shellcheck has nothing to say', { skip: hasShellcheck() ? false : 'there is no shellcheck' }, (t) => {
  // What the conf sets and reads is in the template.
  const { status, stdout } = spawnSync(
    'shellcheck',
    ['-s', 'sh', '-e', 'SC2034,SC2154', join(INFRA, 'maker.sh'), join(INFRA, 'rehearsal.conf')],
    { encoding: 'utf8' },
  );
  t.same([status, stdout], [0, '']);
  t.end();
});

function hasShellcheck(): boolean {
  return spawnSync('shellcheck', ['--version']).status === 0;
}
