/** Calls of the scripts for stations at one moment, as several workers make them: none uses what another one writes. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import type { Profile } from '../src/profiles/profile.js';
import { raucProfile } from '../src/profiles/rauc.js';
import { swupdateProfile } from '../src/profiles/swupdate.js';

const PATIENCE_MS = 60_000;
const INFRA = fileURLToPath(new URL('../../../../infra/station/', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Stage {
  readonly at: (name: string) => string;
  /** A program of the station. `$CALL` names the call in which it runs; `gate` stops it there until the call is let. */
  program(name: string, body: string): string;
  entry(change: Partial<RealDriverEntry>): RealDriverEntry;
  /** The scripts of a profile, put there. */
  put(profile: Profile): void;
  begin(call: string, argv: readonly string[]): Promise<Ended>;
  /** Begin calls `a` and `b`, the second one when the first stands at a gate; let both go when both do. */
  side(argv: readonly string[]): Promise<readonly [Ended, Ended]>;
}

function setStage(t: Test): Stage {
  const dir = t.testdir({ bin: {}, state: {} });
  const at = (name: string): string => join(dir, name);
  const program: Stage['program'] = (name, body) => {
    const gate = `gate() { : >"$D/at-$CALL"; while [ ! -e "$D/go-$CALL" ]; do [ -d "$D" ] || exit 1; sleep 0.02; done; }`;
    writeFileSync(at(name), `#!/bin/sh\nD='${dir}'\n${gate}\n${body}\n`, { mode: 0o755 });
    return at(name);
  };
  const begin: Stage['begin'] = async (call, [file = '', ...args]) => {
    const env = { ...process.env, CALL: call, PATH: `${at('bin')}:${process.env.PATH}` };
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const told = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        told[name] += text;
      });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('close', resolve);
      child.once('error', reject);
    });
    return { code, ...told };
  };
  return {
    at,
    program,
    begin,
    entry: (change) => ({
      transport: 'local',
      state_dir: at('state'),
      profile: 'rauc',
      boot_id: ['echo', 'b1'],
      reboot: ['true'],
      restart_everest: ['true'],
      ...change,
    }),
    put: ({ scripts }) => {
      for (const { name, bytes } of scripts) writeFileSync(join(at('state'), name), bytes);
    },
    async side(argv) {
      const stands = (call: string) =>
        awaitUntil(() => existsSync(at(`at-${call}`)), PATIENCE_MS, `${call} at the gate`);
      const first = begin('a', argv);
      await stands('a');
      const second = begin('b', argv);
      await stands('b');
      writeFileSync(at('go-a'), '');
      const ended = await first;
      writeFileSync(at('go-b'), '');
      return [ended, await second];
    },
  };
}

const STATUS = [
  `RAUC_SYSTEM_BOOTED_BOOTNAME='A'`,
  `RAUC_SYSTEM_SLOTS='rootfs.0 '`,
  `RAUC_SLOT_BOOTNAME_1='A'`,
  `RAUC_SLOT_STATUS_BUNDLE_VERSION_1='1.0'`,
].join('\n');
const EVIDENCE = '{"boot_id": "b1", "healthy": true, "slot": "rootfs.0", "running_sha256": null, "version": "1.0"}\n';

await t.test('RAUC: what is known of the slot that runs', async (t) => {
  const stage = setStage(t);
  const status = stage.program('rauc', `cat <<'END'\n${STATUS}\nEND`);
  const profile = raucProfile(stage.entry({}), { program: [status] });
  stage.put(profile);
  stage.program('bin/mv', 'gate; exec /bin/mv "$@"');
  for (const ended of await stage.side(profile.evidence())) t.match(ended, { code: 0, stdout: EVIDENCE });
  t.equal(readFileSync(stage.at('state/rauc/evidence'), 'utf8'), EVIDENCE, 'and it is kept, whole');
});

await t.test('RAUC: why it does not answer', async (t) => {
  const stage = setStage(t);
  const busy = `echo 'Error retrieving slot status via D-Bus: already processing a different method' >&2`;
  const status = stage.program('rauc', `case $CALL in a) ${busy}; gate ;; b) gate; ${busy} ;; esac; exit 1`);
  const profile = raucProfile(stage.entry({}), { program: [status] });
  stage.put(profile);
  mkdirSync(stage.at('state/rauc'));
  writeFileSync(stage.at('state/rauc/evidence'), EVIDENCE);
  for (const ended of await stage.side(profile.evidence()))
    t.match(ended, { code: 0, stdout: EVIDENCE }, 'it installs something: the slot that runs is the one from before');
});

/** A station whose last install, `op-1`, left the variable `slot` without a value. */
function swupdateStation(stage: Stage, change: object): Profile {
  const variable = stage.program(
    'fw_printenv',
    `case $CALL in a) ${notDefined}; gate ;; b) gate; ${notDefined} ;; esac; exit 1`,
  );
  const settings = {
    running_slot: ['echo', 'A'] as [string, ...string[]],
    boot_variables: ['slot'] as [string, ...string[]],
    read_variable: [variable] as [string, ...string[]],
    ...change,
  };
  const profile = swupdateProfile(stage.entry({ profile: 'swupdate' }), settings);
  stage.put(profile);
  mkdirSync(stage.at('state/swupdate'));
  writeFileSync(stage.at('state/swupdate/before'), 'op-1\n');
  writeFileSync(stage.at('state/swupdate/before-variables'), 'slot=\n');
  return profile;
}
const notDefined = `echo '## Error: "slot" not defined' >&2`;

await t.test('SWUpdate: why a variable of the bootloader is not told', async (t) => {
  const stage = setStage(t);
  const profile = swupdateStation(stage, { program: ['swupdate'], control_socket: stage.at('nobody-listens') });
  for (const ended of await stage.side(profile.recover?.('op-1') ?? [])) t.match(ended, { code: 0, stderr: '' });
});

await t.test('SWUpdate: what the daemon answers', async (t) => {
  const stage = setStage(t);
  // Names of sockets are short.
  const folder = mkdtempSync(join(tmpdir(), 'khumbu-'));
  const socket = join(folder, 'ctrl');
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const profile = swupdateStation(stage, { control_socket: socket });
  stage.program('fw_printenv', `${notDefined}; exit 1`);
  const idle = Buffer.alloc(8192);
  idle.writeInt32LE(0x14052001, 0);
  idle.writeInt32LE(1, 4);
  let asked = 0;
  const daemon = createServer({ allowHalfOpen: true }, (asker) => {
    asked += 1;
    const answer = (): void => void asker.resume().once('end', () => asker.end(idle));
    if (asked !== 2) return answer();
    writeFileSync(stage.at('at-b'), '');
    const isLet = awaitUntil(() => existsSync(stage.at('go-b')), PATIENCE_MS, 'the second call to be let');
    isLet.then(answer, () => asker.destroy());
  });
  await new Promise<void>((resolve) => {
    daemon.listen(socket, resolve);
  });
  t.teardown(() => daemon.close());
  stage.program('bin/od', '[ "$CALL" != a ] || gate; exec /usr/bin/od "$@"');
  for (const ended of await stage.side(profile.recover?.('op-1') ?? []))
    t.match(ended, { code: 0, stdout: '' }, 'it is idle');
});

await t.test('the slots of a rehearsal', async (t) => {
  const stage = setStage(t);
  copyFileSync(join(INFRA, 'maker.sh'), stage.at('maker'));
  const rehearsal = readFileSync(join(INFRA, 'rehearsal.conf'), 'utf8');
  writeFileSync(stage.at('maker.conf'), `${rehearsal}\nDATA=${stage.at('data')}\n`);
  stage.program('bin/mv', 'gate; exec /bin/mv "$@"');
  for (const ended of await stage.side(['sh', stage.at('maker'), 'reboot'])) t.match(ended, { code: 0, stderr: '' });
});
