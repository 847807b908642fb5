import { readStoredWait, type WaitWord } from '../../records/wait-words.js';
import type { KindDefinition, OpenState } from '../kind-definition.js';
import {
  applyNetworkEvent,
  CONFIGURE_NETWORK_TRANSITIONS,
  type ConfigureNetworkEvent,
  type ConfigureNetworkRecord,
} from './record.js';

export const configureNetwork = {
  scope: 'station',
  transitions: CONFIGURE_NETWORK_TRANSITIONS,
  waits: {
    words: {
      Offered: 'answer',
      Accepted: 'network',
    } satisfies Record<OpenState<typeof CONFIGURE_NETWORK_TRANSITIONS>, WaitWord>,
  },
  queue: 'system-control',
  jobs: ['configure-network'],
  nextWork: ({ state }) => (state === 'Accepted' ? { name: 'configure-network' as const } : undefined),
  channel: 'configure_network',
  status: { channel: 'configure_network_status', isFinal: () => true },
  apply: applyNetworkEvent,
  onDeadline(record, context) {
    const wait = readStoredWait(record.waitingFor);
    return applyNetworkEvent(record, 'outOfTime', context, wait ? { reason: `deadline_${wait.for}` } : {});
  },
  view: ({ interfaceName }) => ({ interfaceName }),
  // EVerest asks before every connection to its CSMS.
  securityDetails: ({ interfaceName }, phase) => ({ details: { interfaceName }, limit: phase }),
} as const satisfies KindDefinition<ConfigureNetworkRecord, ConfigureNetworkEvent>;
