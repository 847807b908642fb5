/** The profiles by name: the one place that knows them all. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { commandProfile } from './command.js';
import type { Profile } from './profile.js';

type Make = (entry: RealDriverEntry, stateDir: string) => Profile;

const profiles: Readonly<Record<RealDriverEntry['profile'], Make>> = {
  command: (entry) => {
    if (!entry.command) throw new TypeError('a station with profile command has its commands');
    return commandProfile(entry, entry.command);
  },
};

/** `stateDir`: where the scripts of the profile are, by their names. */
export const profileOf: Make = (entry, stateDir) => profiles[entry.profile](entry, stateDir);
