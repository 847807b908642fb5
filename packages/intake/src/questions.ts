/** What may be asked of the intake without anything following from it. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { BootReason } from '@khumbu/shared/contract/schemas';
import type { Admission } from './admission.js';
import { decideResetAllowed, type ResetPermission } from './decide-reset.js';
import { abandonedQueue, WORKERS_GONE } from './needed-workers.js';
import type { IntakeDeps, Requester } from './requester.js';

export type Questions = ReturnType<typeof createQuestions>;

export function createQuestions({ isAbandoned }: Pick<IntakeDeps, 'isAbandoned'>, { capture, inSlot }: Admission) {
  const captureOf = (station: string) => {
    const requester: Requester = { station, answerKey: '', origin: 'rest' };
    return capture(requester);
  };

  return {
    /** Whether EVerest would be allowed a reset now; nothing is reserved. */
    async resetPermission(station: string): Promise<ResetPermission> {
      const { state, profile } = await captureOf(station);
      if (profile && abandonedQueue('is_reset_allowed', isAbandoned)) return { allowed: false, reason: WORKERS_GONE };
      return decideResetAllowed({ profile, update: await inSlot<FirmwareUpdateRecord>(state, 'firmware_update') });
    },

    /** What EVerest was told in this boot; `undefined`: it has not asked. */
    async bootReason(station: string): Promise<{ bootEpoch: number; reason: BootReason | undefined }> {
      const { state } = await captureOf(station);
      const { bootEpoch, bootReason } = state;
      return { bootEpoch, reason: bootReason?.bootEpoch === bootEpoch ? bootReason.reason : undefined };
    },
  };
}
