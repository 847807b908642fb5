/**
 * Profile `swupdate`: SWUpdate by the client of its daemon, or started for each update. A script at the station knows what to
 * believe of it, reads the bootloader's variable back, and looks once more before the reboot.
 */
import type { RealDriverEntry, SwupdateSettings } from '@khumbu/shared/stations/driver-entry';
import type { Profile } from './profile.js';
import { swupdateCheck } from './swupdate-check.js';
import { callOf, counted, toolScript } from './tool-script.js';
import { commonVerbs } from './verbs.js';

const SCRIPT = toolScript('khumbu-swupdate', ['khumbu-swupdate-image', 'khumbu-swupdate-daemon', 'khumbu-swupdate']);

const wordsOf = (settings: SwupdateSettings): readonly string[] => [
  ...counted(settings.client ?? ['swupdate-client']),
  ...counted(settings.running_slot),
  ...counted(settings.version),
  ...counted(settings.read_variable ?? ['fw_printenv', '-n']),
  ...counted(settings.write_variable ?? ['fw_setenv']),
  ...counted(settings.boot_variables),
  ...counted(Object.entries(settings.selections ?? {}).map(([slot, selection]) => `${slot}=${selection}`)),
  settings.control_socket ?? '',
  settings.progress_socket ?? '',
  settings.tmpdir ?? '',
  settings.public_key ?? '',
  settings.bootloader ?? 'uboot',
  settings.hardware ?? '',
  settings.refuse_downgrade === true ? 'yes' : 'no',
];

export function swupdateProfile(entry: RealDriverEntry, settings: SwupdateSettings): Profile {
  const { program = [], health } = settings;
  const ask = callOf(SCRIPT, entry, { program, health, more: wordsOf(settings) });
  const common = commonVerbs(entry);
  return {
    name: 'swupdate',
    ...common,
    scripts: [SCRIPT, ...common.scripts],
    check: swupdateCheck(settings),
    reboot: (operationId) => ask('reboot', operationId, ...common.reboot(operationId)),
    install: ({ imagePath, sha256, operationId }) => ask('install', imagePath, sha256, operationId),
    recover: (operationId) => ask('recover', operationId),
    evidence: () => ask('evidence'),
  };
}
