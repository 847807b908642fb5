/** Argument vectors of the stations file with values in them. Pure. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { networkCommands, networkVerbs } from './network-manager.js';
import { API_PROGRAMS, apiScripts, restartByApi } from './restart-everest.js';

export type Values = Readonly<Record<string, string>>;

/** A placeholder is a whole argument, so a value can never become more than one, nor a part of another one. */
export const withValues = (argv: readonly string[], values: Values): readonly string[] =>
  argv.map((word) => {
    const [, name = ''] = /^\{([a-z0-9_]+)\}$/.exec(word) ?? [];
    return values[name] ?? word;
  });

/** RFC 3339 in UTC, and seconds since 1970 as `date -s` takes them. */
export const timeValues = (time: Date): Values => ({
  time: time.toISOString(),
  seconds: `@${(time.getTime() / 1000).toFixed(3)}`,
});

/** Signed: seconds, and whole microseconds. */
const offsetValues = (byMs: number): Values => ({
  offset: (byMs / 1000).toFixed(3),
  microseconds: String(Math.round(byMs * 1000)),
});

type Common = Pick<
  RealDriverEntry,
  'state_dir' | 'network_manager' | 'reboot' | 'restart_everest' | 'read_clock' | 'set_clock' | 'slew_clock'
>;

const REBOOT: readonly string[] = ['systemctl', 'reboot'];
const RESTART = ['systemctl', 'restart', 'everest'];
const READ_CLOCK: readonly string[] = ['date', '+%s.%N'];

/** What of this is a command of the station, with its placeholders. */
const commonCommands = (entry: Common): readonly PlannedCommand[] => {
  const { restart_everest: restart = RESTART, set_clock: set, slew_clock: slew } = entry;
  return [
    { verb: 'reboot', argv: entry.reboot ?? REBOOT },
    ...(Array.isArray(restart) ? [restart] : API_PROGRAMS).map((argv) => ({ verb: 'restart', argv }) as const),
    { verb: 'read_clock', argv: entry.read_clock ?? READ_CLOCK },
    ...[set, slew].flatMap((argv) => (argv ? [{ verb: 'set_clock', argv } as const] : [])),
  ];
};

/** What every profile does alike, unless the stations file has a command of its own. */
export const commonVerbs = (entry: Common) => ({
  ...networkVerbs(entry),
  scripts: [...apiScripts(entry.restart_everest), ...networkVerbs(entry).scripts],
  commands: [...commonCommands(entry), ...networkCommands(entry)],
  reboot: (operation: string): readonly string[] => withValues(entry.reboot ?? REBOOT, { operation }),
  restart(operation: string): readonly string[] {
    const { restart_everest: how = RESTART, state_dir: stateDir } = entry;
    return Array.isArray(how) ? withValues(how, { operation }) : restartByApi(stateDir, how);
  },
  readClock: (): readonly string[] => entry.read_clock ?? READ_CLOCK,
  setClock: (time: Date): readonly string[] | undefined =>
    entry.set_clock && withValues(entry.set_clock, timeValues(time)),
  // Who sets the clock in a way of their own need not be able to slew it in ours.
  ...(entry.set_clock && !entry.slew_clock
    ? {}
    : {
        slewClock: (byMs: number): readonly string[] | undefined =>
          entry.slew_clock && withValues(entry.slew_clock, offsetValues(byMs)),
      }),
});
