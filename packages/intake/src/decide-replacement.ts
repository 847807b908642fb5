/** Whether a request from REST may take the place of what is under way. Pure. EVerest's own requests always may. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { isEnded } from '@khumbu/operations/records/record';
import type { Requester } from './requester.js';

/** `slot_busy`: the other one is just being answered; ask again in a moment. */
export function objectionToReplacing(
  { origin, replace }: Pick<Requester, 'origin' | 'replace'>,
  current: OperationRecord | undefined,
): 'slot_taken_by_everest' | 'slot_busy' | undefined {
  if (origin !== 'rest' || !current || isEnded(current) || current.origin !== 'everest') return undefined;
  if (!replace) return 'slot_taken_by_everest';
  return current.state === 'Offered' ? 'slot_busy' : undefined;
}
