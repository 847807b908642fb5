/** `configure_network`: what it is decided from, and what the decision stores. */
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { isEnded, newOperationId } from '@khumbu/operations/records/record';
import type { ConfigureNetworkRequest } from '@khumbu/shared/contract/schemas';
import { decideNetwork } from './decide-network.js';
import { objectionToReplacing } from './decide-replacement.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import { offeredBase } from './offered-base.js';
import type { Requester } from './requester.js';
import type { Situation } from './situation.js';

interface NetworkSituation extends Situation {
  readonly current: ConfigureNetworkRecord | undefined;
}

export function createConfigureNetwork(parts: Parts) {
  const { accept, read, now } = parts;

  const decide = (request: ConfigureNetworkRequest, id: string, situation: NetworkSituation): Decision => {
    const { requester, profile, current } = situation;
    const decision = decideNetwork(request, profile);
    if (!('interfaceName' in decision)) return { kind: 'answer', ...decision };
    const objection = objectionToReplacing(requester, current);
    if (objection) return { kind: 'answer', reply: { status: 'Rejected' }, reason: objection };
    const replaces = current && !isEnded(current) ? current : undefined;
    const record: ConfigureNetworkRecord = {
      ...offeredBase(parts, 'configure_network', requester, request.request_id, id),
      request,
      interfaceName: decision.interfaceName,
      ...(replaces ? { supersedes: replaces.id } : {}),
    };
    return { kind: 'offer', reply: decision.reply, record, ...(replaces ? { replaces } : {}) };
  };

  return async (request: ConfigureNetworkRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('configure_network', now());
    return accept({
      channel: 'configure_network',
      requester,
      async read(): Promise<NetworkSituation> {
        const situation = await read.request(requester);
        return { ...situation, current: await read.inSlot(situation.state, 'configure_network') };
      },
      decide: (situation) => decide(request, id, situation),
    });
  };
}
