/** Asking the certificate store of a station's EVerest: the leader does, over MQTT, and stores the answers. */
import { randomUUID } from 'node:crypto';
import type { StoreAnswers } from '@khumbu/operations/kinds/firmware-update/certificates';
import type { Store } from '@khumbu/operations/kinds/store';
import { readStation } from '@khumbu/operations/stations/station-state';
import { sleep } from '@khumbu/shared/runtime/abort';

/** The leader waits 4 s for EVerest. */
const ANSWERED_MS = 6000;
const LOOK_MS = 50;

/**
 * The answers to a question that is asked now; a kind without an answer is absent. `undefined`: they were not asked for, as while no
 * gateway leads. Safe to repeat. Rejects with the reason of the signal, and when the store does not answer.
 */
export async function askCertificateStore(
  store: Store,
  station: string,
  signal: AbortSignal,
): Promise<StoreAnswers | undefined> {
  const question = randomUUID();
  await store.commit(store.transaction().askCertificateStore(station, question));
  for (const end = performance.now() + ANSWERED_MS; performance.now() < end; ) {
    await sleep(LOOK_MS, signal);
    signal.throwIfAborted();
    const { certificateStore, certificateStoreUnasked } = await readStation(store, station);
    if (certificateStore?.question === question) return certificateStore.answers;
    if (certificateStoreUnasked === question) return 'ambiguous';
  }
  return undefined;
}
