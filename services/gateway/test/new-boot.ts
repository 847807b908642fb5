/** The first question of a boot, on a busy machine. */
import type { Store } from '@khumbu/operations/kinds/store';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';

const PATIENCE_MS = 120_000;
/** Longer than a decision that comes after its default needs to be stored. */
const LATE_DECISION_MS = 5000;

/**
 * Ask for the boot reason where the question itself may begin the boot with this epoch. Where the answer is the default, because
 * the machine had no time for the decision, the decision may be stored all the same: asked again then, it would be another boot,
 * for another reason. So what was decided is looked at first, and the question is asked again only when nothing was.
 */
export async function askInNewBoot(
  everest: EverestClient,
  { store, epoch, timeoutMs = 60_000 }: { readonly store: Store; readonly epoch: number; readonly timeoutMs?: number },
): Promise<{ readonly reply: unknown; readonly ms: number }> {
  const decided = async (): Promise<string | undefined> => {
    const { bootEpoch, bootReason } = readStationState(await store.station(everest.moduleId));
    return bootEpoch === epoch && bootReason?.bootEpoch === epoch && bootReason.asked ? bootReason.reason : undefined;
  };
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const { reply, ms } = await everest.request('get_boot_reason', undefined, { timeoutMs });
    if (reply !== 'Unknown' || performance.now() > end) return { reply, ms };
    const until = performance.now() + LATE_DECISION_MS;
    const stored = await awaitUntil(
      async () => (await decided()) ?? (performance.now() > until ? 'nothing' : undefined),
      LATE_DECISION_MS,
      'a look at what was decided',
    );
    if (stored !== 'nothing') return { reply: stored, ms };
  }
}
