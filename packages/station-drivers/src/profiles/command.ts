/** Profile `command`: the maker's own programs, as the stations file names them. */
import type { CommandVerbs, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { commandCheck } from './command-check.js';
import type { Profile } from './profile.js';
import { commonVerbs, withValues } from './verbs.js';

export function commandProfile(entry: RealDriverEntry, command: CommandVerbs): Profile {
  const { network_manager: manager, depot_url: depotUrl, ...rest } = entry;
  const pulls = command.install.includes('{url}') && depotUrl !== undefined ? { pullsFrom: depotUrl } : {};
  // The maker's own command wins, and then nothing is asked of NetworkManager.
  const network = command.network || !manager ? {} : { network_manager: manager };
  const common = commonVerbs({ ...command, ...rest, ...network });
  return {
    name: 'command',
    check: commandCheck(command, pulls.pullsFrom),
    ...pulls,
    ...common,
    install: ({ operationId, imagePath, imageUrl, sha256, sizeBytes }) =>
      withValues(command.install, {
        image: imagePath,
        sha256,
        size: String(sizeBytes),
        operation: operationId,
        ...(imageUrl === undefined ? {} : { url: imageUrl }),
      }),
    recover: (operation) => command.recover && withValues(command.recover, { operation }),
    evidence: () => command.evidence,
    network: (interfaceName) =>
      command.network ? withValues(command.network, { interface: interfaceName }) : common.network(interfaceName),
  };
}
