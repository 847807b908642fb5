/** Watching a simulated charger from outside, as the station simulator does that plays its EVerest. */
import { type FSWatcher, watch } from 'node:fs';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type Charger, factoryCharger, isRebooting, isRestarting } from './charger.js';
import { changeCharger, chargerFolder } from './charger-state.js';
import { endOf, settle } from './settle.js';

export interface ChargerView {
  readonly bootId: string;
  /** Counts the starts of EVerest, by boots and by restarts. */
  readonly everestStarts: number;
  /** The host is down. */
  readonly rebooting: boolean;
  /** EVerest alone is down. */
  readonly restarting: boolean;
}

/** Where the system reports changes, this only bounds how late a jump of the clock is noticed. */
const watchedPollMs = 1000;
const unwatchedPollMs = 50;

/**
 * Call `onChange` with the charger as it is, and again whenever that changes, until the signal fires. A charger that
 * was never used is switched on. Several changes in quick succession may be reported as one: compare `bootId` and
 * `everestStarts`. Rejects with `CHARGER_STATE_CORRUPT` and with what `onChange` throws.
 */
export async function watchCharger(
  dataDir: string,
  station: string,
  onChange: (view: ChargerView) => void,
  signal: AbortSignal,
): Promise<void> {
  const folder = chargerFolder(dataDir, station);
  // Makes the folder; what changes from here on is seen by the watch or by the look after it.
  await look(folder);
  const changes = watchFolder(folder, signal);
  try {
    for (let told = ''; !signal.aborted; ) {
      const charger = await look(folder);
      const view = viewOf(charger);
      const text = JSON.stringify(view);
      if (text !== told && !signal.aborted) onChange(view);
      told = text;
      await changes.next(untilEnd(charger));
    }
  } finally {
    changes.close();
  }
}

const look = (folder: string): Promise<Charger> =>
  changeCharger(folder, (stored) => settle(stored ?? factoryCharger(Date.now()), Date.now()));

const viewOf = (charger: Charger): ChargerView => ({
  bootId: charger.bootId,
  everestStarts: charger.everestStarts,
  rebooting: isRebooting(charger),
  restarting: isRestarting(charger),
});

const untilEnd = ({ effect }: Charger): number =>
  effect ? Math.max(1, endOf(effect) - Date.now()) : Number.POSITIVE_INFINITY;

interface FolderChanges {
  /** Resolves at a change since the last call, after `limitMs`, at the next poll, or when the signal fires. */
  next(limitMs: number): Promise<void>;
  close(): void;
}

function watchFolder(folder: string, outer: AbortSignal): FolderChanges {
  // One signal may end many watches; a signal of its own keeps the number of its listeners small.
  const signal = AbortSignal.any([outer]);
  let pending = false;
  let wake = (): void => {};
  let watcher = watcherOf(folder, (name) => {
    if (name !== null && !name.startsWith('state.')) return;
    pending = true;
    wake();
  });
  watcher?.on('error', () => {
    watcher = undefined;
    wake();
  });
  onAbort(signal, () => wake());
  return {
    async next(limitMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => wake(), Math.min(limitMs, watcher ? watchedPollMs : unwatchedPollMs));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (pending || signal.aborted) wake();
      });
      pending = false;
    },
    close: () => watcher?.close(),
  };
}

/** `undefined` where the system has no watches left; then the poll alone has to do. */
function watcherOf(folder: string, onEvent: (name: string | null) => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, (_event, name) => onEvent(name));
  } catch (error) {
    if (hasCode(error, 'ENOSPC', 'EMFILE')) return undefined;
    throw error;
  }
}
