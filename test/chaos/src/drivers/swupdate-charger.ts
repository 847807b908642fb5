/** A charger with profile `swupdate`: a real SWUpdate with its daemon, two files for slots. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd } from '@khumbu/test-support/sshd';
import { type SwuOptions, swuContent } from '@khumbu/test-support/swu';
import { hasSwupdate, type SlotName, startSwupdate } from '@khumbu/test-support/swupdate';
import type { Cleanup } from '../depot/cleanup.js';
import type { Charger, ChargerImage, ChargerKind, Outcome, Run } from './charger.js';
import { openInstallGate } from './install-gate.js';
import { createJournal, writeProgram } from './journal.js';
import { killHard, processesWith } from './processes.js';
import { isIdle } from './swupdate-daemon.js';

const QUIET_MS = 60_000;
const IMAGES = 4;

/** In the daemon's own log, before each run of its client: what follows is the end of that run's update, if it had one. */
const BEGINS = '### a client begins';
const CLIENT = (writeDown: string): string => `
echo '${BEGINS}' >>"$D/daemon.log"
exec ${writeDown} "$@"`;
const REBOOT = (reboot: string): string => `sleep "$(cat "$D/reboot-s")"; exec ${reboot}`;

const UNFIT: readonly Partial<SwuOptions>[] = [{ damaged: true }, { hardware: '9.9' }, { stranger: true }];
const FACTS: Partial<Record<Outcome, string>> = { breaks: 'post-fails', 'falls back': 'fall-back' };

/**
 * How each run of the client ended, by the daemon's word: the client exits with 0 when the daemon died and the update before
 * was a good one, and with 1 when it could not write what the daemon did not read of a good one. Pure.
 */
export function runsByDaemon(runs: readonly Run[], log: string): readonly Run[] {
  const ends = log.split(`${BEGINS}\n`).slice(1);
  let installs = 0;
  return runs.map((run) => {
    if (run.verb !== 'install') return run;
    const isWhole = ends[installs]?.includes('SWUPDATE successful') === true;
    installs += 1;
    if (isWhole) return { ...run, code: 0 };
    return run.code === 0 ? { ...run, code: 1 } : run;
  });
}

async function start(cleanup: Cleanup, stateDir: string): Promise<Charger> {
  const station = await startSwupdate();
  cleanup.teardown(() => station.stop());
  const { dir, settings } = station;
  const at = (name: string): string => join(dir, name);
  const text = async (name: string): Promise<string> => (await readFile(at(name), 'utf8')).trim();
  const journal = await createJournal(dir);
  const client = await writeProgram(dir, 'client', CLIENT(journal.before('install').join(' ')));
  const reboot = await writeProgram(dir, 'slow-reboot', REBOOT(station.reboot.join(' ')));
  const images: ChargerImage[] = [];
  const contents = new Map<string, Buffer>();
  for (let n = 0; n < IMAGES; n += 1) {
    const [name, version] = [`v${n}`, `1.${n}`];
    images.push({ name, ...(await station.image(name, { version })) });
    contents.set(name, swuContent(name, { version }));
  }
  const unfit: ChargerImage[] = [];
  for (const [n, change] of UNFIT.entries())
    unfit.push({ name: `unfit ${n}`, ...(await station.image(`unfit-${n}`, change)) });
  const held = async (slot: SlotName): Promise<string | undefined> => {
    const bytes = await station.slot(slot);
    return [...contents].find(([, content]) => bytes.subarray(0, content.length).equals(content))?.[0];
  };

  const gate = await openInstallGate(cleanup, dir);
  const clients = (): readonly number[] =>
    processesWith([`${stateDir}/`])
      .filter(({ commandLine }) => commandLine.startsWith('swupdate-client '))
      .map(({ pid }) => pid);

  const runsScript = (): boolean =>
    processesWith([`${dir}/`]).some(({ commandLine }) => commandLine.includes('/gate.sh'));
  const isQuiet = async (): Promise<boolean> =>
    clients().length === 0 && !runsScript() && (await isIdle(at('tmp/sockinstctrl')));

  return {
    dir,
    entry: {
      state_dir: stateDir,
      profile: 'swupdate',
      boot_id: ['cat', station.bootIdFile],
      swupdate: { ...settings, client: [client, ...(settings.client ?? [])] },
      reboot: [...journal.before('reboot'), reboot],
      restart_everest: ['true'],
    },
    async image(random, outcome) {
      if (outcome === 'unfit') return random.pick(unfit);
      const there = [await held('a'), await held('b')];
      return random.pick(images.filter(({ name }) => !there.includes(name)));
    },
    async reset(behaviour) {
      await writeFile(at('reboot-s'), String(behaviour.rebootMs / 1000));
      for (const [outcome, fact] of Object.entries(FACTS)) {
        if (outcome === behaviour.outcome) await station.set(fact, '3');
        else await station.unset(fact);
      }
      station.setVariable('slot', await text('running'));
      await gate.reset(behaviour.installMs);
      await writeFile(at('daemon.log'), '');
      await journal.clear();
    },
    async truth() {
      const [bootId, running] = await Promise.all([text('boot'), text('running')]);
      return { bootId, running, next: station.variable('slot'), holds: { a: await held('a'), b: await held('b') } };
    },
    runs: async () => runsByDaemon(await journal.runs(), await readFile(at('daemon.log'), 'utf8')),
    killService: () => station.killDaemon(),
    async keepServiceAway(forMs) {
      await station.killDaemon(true);
      await pause(forMs);
      await station.unset('stay-away');
    },
    killClient() {
      const found = clients();
      for (const pid of found) killHard(pid);
      return found.length > 0;
    },
    writesAgain: true,
    quiet: async () => void (await awaitUntil(isQuiet, QUIET_MS, 'SWUpdate to be idle')),
    isOwn: (commandLine) => /\/host(?: |$)|^swupdate |\/gate\.sh/.test(commandLine),
  };
}

export const swupdateCharger: ChargerKind = {
  name: 'swupdate',
  missing: () => (hasSshd() && hasSwupdate() ? undefined : 'there is no sshd or no SWUpdate, or we are not root'),
  start: (cleanup, _dir, stateDir) => start(cleanup, stateDir),
};
