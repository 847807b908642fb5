/** The entry of a station with RAUC, on this host. */
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { RaucStation } from '@khumbu/test-support/rauc';

export const raucEntry = (rauc: RaucStation): RealDriverEntry => ({
  transport: 'local',
  state_dir: join(rauc.dir, 'state'),
  profile: 'rauc',
  boot_id: ['cat', rauc.bootIdFile],
  rauc: { program: [...rauc.program] },
  reboot: [...rauc.reboot],
  restart_everest: ['true'],
  // Never the clock of this host.
  read_clock: ['sh', '-c', `cat ${rauc.dir}/clock 2>/dev/null || date +%s.%N`],
  set_clock: ['sh', '-c', `echo "$0" | tr -d @ >${rauc.dir}/clock`, '{seconds}'],
  slew_clock: ['true', '{offset}'],
  limits: { install_s: 240, reboot_s: 120, command_s: 120 },
});
