/** What may be asked of the intake without anything following from it. */
import type { BootReason } from '@khumbu/shared/contract/schemas';
import { decideResetAllowed, type ResetPermission } from './decide-reset.js';
import { abandonedQueue, type IsAbandoned, WORKERS_GONE } from './needed-workers.js';
import type { Reader } from './situation.js';

export type Questions = ReturnType<typeof createQuestions>;

export function createQuestions(read: Reader, isAbandoned: IsAbandoned) {
  return {
    /** Whether EVerest would be allowed a reset now; nothing is reserved. */
    async resetPermission(station: string): Promise<ResetPermission> {
      const { state, profile } = await read.station(station);
      if (profile && abandonedQueue('is_reset_allowed', isAbandoned)) return { allowed: false, reason: WORKERS_GONE };
      return decideResetAllowed({ profile, update: await read.inSlot(state, 'firmware_update') });
    },

    /** What EVerest was answered in this boot; `undefined`: it has not asked. */
    async bootReason(station: string): Promise<{ bootEpoch: number; reason: BootReason | undefined }> {
      const { state } = await read.station(station);
      const { bootEpoch, bootReason } = state;
      return { bootEpoch, reason: bootReason?.bootEpoch === bootEpoch ? bootReason.reason : undefined };
    },
  };
}
