/** A charger with profile `rauc`: a real RAUC with its service, two files for slots. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasRauc, startRauc } from '@khumbu/test-support/rauc';
import { hasSshd } from '@khumbu/test-support/sshd';
import type { Cleanup } from '../depot/cleanup.js';
import type { Charger, ChargerImage, ChargerKind, Outcome } from './charger.js';
import { openInstallGate } from './install-gate.js';
import { createJournal, writeProgram } from './journal.js';
import { processesWith } from './processes.js';

const QUIET_MS = 30_000;
const SLOT_IMAGE_BYTES = 2_000_000;
const IMAGES = 4;

/** RAUC's client: an install is written down, everything else is only passed on. */
const CLIENT = (writeDown: string): string => `
for each in "$@"; do
  [ "$each" != install ] || exec ${writeDown} "$@"
done
exec "$@"`;
const REBOOT = (reboot: string): string => `sleep "$(cat "$D/reboot-s")"; exec ${reboot}`;

async function start(cleanup: Cleanup, stateDir: string): Promise<Charger> {
  const rauc = await startRauc();
  cleanup.teardown(() => rauc.stop());
  const { dir } = rauc;
  const at = (name: string): string => join(dir, name);
  const text = async (name: string): Promise<string> => (await readFile(at(name), 'utf8')).trim();
  const journal = await createJournal(dir);
  const client = await writeProgram(dir, 'client', CLIENT(journal.before('install').join(' ')));
  const reboot = await writeProgram(dir, 'slow-reboot', REBOOT(rauc.reboot.join(' ')));
  const images: (ChargerImage & { readonly slotSha256: string })[] = [];
  for (let n = 0; n < IMAGES; n += 1) {
    const name = `v${n}`;
    // What the test support fills its bundles with.
    const slot = Buffer.alloc(SLOT_IMAGE_BYTES, createHash('sha256').update(name).digest());
    images.push({ name, slotSha256: createHash('sha256').update(slot).digest('hex'), ...(await rauc.bundle(name)) });
  }
  const unfit = { name: 'unfit', ...(await rauc.bundle('unfit', { compatible: 'another-board' })) };
  const held = async (slot: 'A' | 'B'): Promise<string | undefined> => {
    const bytes = (await rauc.slot(slot)).subarray(0, SLOT_IMAGE_BYTES);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return images.find((image) => image.slotSha256 === sha256)?.name;
  };
  const isIdle = (): boolean => {
    try {
      execFileSync(rauc.program[0] ?? '', [...rauc.program.slice(1), 'status'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  const gate = await openInstallGate(cleanup, dir);
  const runsScript = (): boolean => processesWith([`${dir}/`]).some(({ commandLine }) => commandLine.includes('/pre'));
  const facts: Partial<Record<Outcome, string>> = { breaks: 'post-fails', 'falls back': 'fall-back' };
  return {
    dir,
    entry: {
      state_dir: stateDir,
      profile: 'rauc',
      boot_id: ['cat', rauc.bootIdFile],
      rauc: { program: [client, ...rauc.program] },
      reboot: [...journal.before('reboot'), reboot],
      restart_everest: ['true'],
    },
    async image(random, outcome) {
      if (outcome === 'unfit') return unfit;
      const there = [await held('A'), await held('B')];
      return random.pick(images.filter(({ name }) => !there.includes(name)));
    },
    async reset(behaviour) {
      await gate.reset(behaviour.installMs);
      await writeFile(at('reboot-s'), String(behaviour.rebootMs / 1000));
      for (const [outcome, fact] of Object.entries(facts)) {
        if (outcome === behaviour.outcome) await rauc.set(fact, '3');
        else await rauc.unset(fact);
      }
      await writeFile(at('primary'), await readFile(at('booted'), 'utf8'));
      await journal.clear();
    },
    async truth() {
      const [bootId, running, next] = await Promise.all([text('boot'), text('booted'), text('primary')]);
      return { bootId, running, next, holds: { A: await held('A'), B: await held('B') } };
    },
    runs: journal.runs,
    killService: () => rauc.killService(),
    async keepServiceAway(forMs) {
      await rauc.killService(true);
      await pause(forMs);
      await rauc.startService();
    },
    quiet: async () => void (await awaitUntil(() => !runsScript() && isIdle(), QUIET_MS, 'RAUC to be idle')),
    isOwn: (commandLine) => / service$|\/(?:service|pre|post|backend)(?: |$)|dbus-daemon/.test(commandLine),
  };
}

export const raucCharger: ChargerKind = {
  name: 'rauc',
  missing: () => (hasSshd() && hasRauc() ? undefined : 'there is no sshd or no RAUC, or we are not root'),
  start: (cleanup, _dir, stateDir) => start(cleanup, stateDir),
};
