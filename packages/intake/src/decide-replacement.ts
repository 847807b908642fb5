/** Whether a request from REST may take the place of what is under way. Pure. EVerest's own requests always may. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { isEnded } from '@khumbu/operations/records/record';
import type { Requester } from './requester.js';

/** `slot_busy`: the other one is just being answered, or the requester waits for any; ask again in a moment. */
export function objectionToReplacing(
  { origin, replace, isPatient }: Pick<Requester, 'origin' | 'replace' | 'isPatient'>,
  current: OperationRecord | undefined,
): 'slot_taken_by_everest' | 'slot_busy' | undefined {
  if (!current || isEnded(current)) return undefined;
  if (isPatient) return 'slot_busy';
  if (origin !== 'rest' || current.origin !== 'everest') return undefined;
  if (!replace) return 'slot_taken_by_everest';
  return current.state === 'Offered' ? 'slot_busy' : undefined;
}
