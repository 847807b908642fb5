/**
 * What follows when EVerest has started anew: the boot is counted and its reason kept, a reset that waited for it is
 * over, and an update whose permission is void asks for it again. Every part is a commit of its own that may be made
 * twice; the reconciler finds what was left out.
 */
import { stationEvent } from '@khumbu/operations/events/events';
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import { definitionOf, KINDS, STATION_KINDS, type StationKind } from '@khumbu/operations/kinds/kinds';
import { dialectOf, readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { bootFields } from './boot-fields.js';
import { reasonOfBoot } from './decide-boot-reason.js';

type Deps = Pick<WorkerParts, 'store' | 'jobs' | 'directory' | 'now'> & {
  readonly log: { info(what: object, text: string): void };
};

const KINDS_WITH_BOOTS = STATION_KINDS.filter((kind) => 'onBoot' in KINDS[kind]);

export type Boots = ReturnType<typeof createBoots>;

export function createBoots({ store, jobs, directory, log, now }: Deps) {
  const settleSlot = async (station: string, kind: StationKind): Promise<void> => {
    const state = await readStation(store, station);
    const id = state.slot(kind);
    const record = id === undefined ? undefined : await store.load(id);
    if (!record) return;
    const dialect = dialectOf(directory.profileOf(station), state);
    const next = definitionOf(record).onBoot?.(record, { now: now(), dialect, bootEpoch: state.bootEpoch });
    if (!next) return;
    await store.commit(store.transaction().put(next.record).enqueueStatus(station, next.statuses));
    await jobs.ensure(next.record);
  };

  return {
    /**
     * EVerest's heartbeats began anew. `silentMs`: the time since the last heartbeat before. Resolves with whether the depot
     * caused the restart. Rejects when it is not stored: repeat.
     */
    async notice(station: string, silentMs: number | undefined, heartbeatPeriodMs?: number): Promise<boolean> {
      for (;;) {
        const state = await readStation(store, station);
        const reason = reasonOfBoot({ state, silentMs, heartbeatPeriodMs, monotonicNow: now().monotonic });
        const transaction = store
          .transaction()
          .expectStation(station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch])
          .setStation(station, bootFields(state, reason, { begins: true, asked: false }, now()))
          .emitEvent(
            stationEvent(station, 'restarted', now().wall, { bootEpoch: state.bootEpoch + 1, bootReason: reason }),
          );
        if (await store.commit(transaction)) {
          log.info({ station, bootEpoch: state.bootEpoch + 1, reason }, 'EVerest has started');
          return state.restartExpected?.reason === reason;
        }
      }
    },

    /** Whatever waited for the boot goes on. Rejects when something is not stored: the reconciler repeats it. */
    async settle(station: string): Promise<void> {
      for (const kind of KINDS_WITH_BOOTS) await settleSlot(station, kind);
    },
  };
}
