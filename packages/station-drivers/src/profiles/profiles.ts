/** The profiles by name: the one place that knows them all. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { commandProfile } from './command.js';
import type { Profile } from './profile.js';
import { raucProfile } from './rauc.js';
import { swupdateProfile } from './swupdate.js';

type Make = (entry: RealDriverEntry) => Profile;

const profiles: Readonly<Record<RealDriverEntry['profile'], Make>> = {
  command: (entry) => {
    if (!entry.command) throw new TypeError('a station with profile command has its commands');
    return commandProfile(entry, entry.command);
  },
  rauc: (entry) => raucProfile(entry, entry.rauc ?? {}),
  swupdate: (entry) => {
    if (!entry.swupdate) throw new TypeError('a station with profile swupdate has its settings');
    return swupdateProfile(entry, entry.swupdate);
  },
};

export const profileOf: Make = (entry) => profiles[entry.profile](entry);
