/** Network requests at the intake. */
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import { newOperationId } from '@khumbu/operations/records/record';
import type { ConfigureNetworkRequest } from '@khumbu/shared/contract/schemas';
import type { Admission } from './admission.js';
import { decideNetwork } from './decide-network.js';
import { objectionToReplacing } from './decide-replacement.js';
import type { Answer, Requester } from './requester.js';

export function createNetworks({ admit, inSlot, offeredBase, now }: Admission) {
  const configureNetwork = async (request: ConfigureNetworkRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('configure_network', now());
    return admit('configure_network', requester, async ({ state, profile }) => {
      const decision = decideNetwork(request, profile);
      if (!('interfaceName' in decision)) return { kind: 'answer', reply: decision.reply, reason: decision.reason };
      const current = await inSlot<ConfigureNetworkRecord>(state, 'configure_network');
      const objection = objectionToReplacing(requester, current);
      if (objection) return { kind: 'answer', reply: { status: 'Rejected' }, reason: objection };
      const replaces = current && !isEnded(current) ? current : undefined;
      const record: ConfigureNetworkRecord = {
        ...offeredBase('configure_network', requester, request.request_id, id),
        request,
        interfaceName: decision.interfaceName,
        ...(replaces ? { supersedes: replaces.id } : {}),
      };
      return { kind: 'offer', reply: decision.reply, record, ...(replaces ? { replaces } : {}) };
    });
  };

  return { configureNetwork };
}
