/** `configure_network`: what it is decided from, and what the decision stores. */
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { isEnded, newOperationId } from '@khumbu/operations/records/record';
import type { ConfigureNetworkRequest } from '@khumbu/shared/contract/schemas';
import { decideNetwork } from './decide-network.js';
import { objectionToReplacing } from './decide-replacement.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import { offeredBase } from './offers.js';
import type { Requester } from './requester.js';
import type { SituationInSlot } from './situation.js';

export function createConfigureNetwork(parts: Parts) {
  const { accept, read, now } = parts;

  const decide = (
    request: ConfigureNetworkRequest,
    id: string,
    situation: SituationInSlot<'configure_network'>,
  ): Decision => {
    const { requester, profile, current } = situation;
    const decision = decideNetwork(request, profile);
    if (!('interfaceName' in decision)) return { kind: 'answer', ...decision };
    const objection = objectionToReplacing(requester, current);
    if (objection) return { kind: 'answer', reply: { status: 'Rejected' }, reason: objection };
    const replaces = current && !isEnded(current) ? current : undefined;
    const record: ConfigureNetworkRecord = {
      ...offeredBase(parts, 'configure_network', requester, request.request_id, id, replaces),
      request,
      interfaceName: decision.interfaceName,
    };
    return { kind: 'offer', reply: decision.reply, record, replaces };
  };

  return async (request: ConfigureNetworkRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('configure_network', now());
    return accept({
      channel: 'configure_network',
      requester,
      read: () => read.requestInSlot(requester, 'configure_network'),
      decide: (situation) => decide(request, id, situation),
    });
  };
}
