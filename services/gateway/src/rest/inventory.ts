/** What REST shows of stations and operations: read from the store, without secrets. */
import { isEnded, type OperationRecord } from '@khumbu/operations/records/kinds';
import type { Store } from '@khumbu/operations/records/store';
import {
  dialectOf,
  readStationState,
  type SlotKind,
  type StationState,
} from '@khumbu/operations/stations/station-state';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';

const SLOTS: readonly SlotKind[] = ['firmware_update', 'log_upload', 'reset', 'configure_network'];

const time = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();

/** An operation as fleet tools see it. Certificates, signatures, network secrets and URL credentials stay inside. */
export function operationView(record: OperationRecord) {
  const request = 'request' in record ? record.request : undefined;
  const location = request && 'location' in request ? withoutCredentials(request.location) : undefined;
  return {
    operationId: record.id,
    kind: record.kind,
    stationId: record.station,
    origin: record.origin,
    requestId: record.requestId,
    status: record.state,
    ended: isEnded(record),
    createdAt: time(record.createdAt),
    updatedAt: time(record.updatedAt),
    endedAt: time(record.endedAt),
    deadlineAt: time(record.deadlineAt),
    waitingFor: record.waitingFor && withoutCredentials(record.waitingFor),
    location,
    fileName: 'fileName' in record ? record.fileName : undefined,
    sizeBytes: 'sizeBytes' in record ? record.sizeBytes : undefined,
    image: 'image' in record ? record.image : undefined,
    outcome: record.outcome && {
      ...record.outcome,
      ...(record.outcome.message === undefined ? {} : { message: withoutCredentials(record.outcome.message) }),
    },
    history: record.history.map((entry) => ({ at: time(entry.at), status: entry.state, reason: entry.reason })),
  };
}
export type OperationView = ReturnType<typeof operationView>;

export type Inventory = ReturnType<typeof createInventory>;

export function createInventory(store: Store, directory: StationDirectory) {
  const currentOperations = async (state: StationState): Promise<OperationView[]> => {
    const ids = SLOTS.map((slot) => state.slot(slot)).filter((id) => id !== undefined);
    return (await store.loadMany(ids)).filter((record) => !isEnded(record)).map(operationView);
  };

  const stationView = async (station: string, state: StationState) => {
    const profile = directory.profileOf(station);
    return {
      stationId: station,
      moduleId: state.moduleId,
      configured: profile !== undefined,
      driver: profile?.driver,
      dialect: dialectOf(profile, state),
      conflict: state.conflictSince !== undefined,
      bootEpoch: state.bootEpoch,
      bootReason: state.bootReason?.reason,
      firstSeenAt: time(state.firstSeenAt),
      lastSeenAt: time(state.lastSeenAt),
      operations: await currentOperations(state),
    };
  };

  return {
    /** Every station that was heard or is configured, by name. */
    async stations() {
      const names = new Set([...(await store.stations()), ...directory.configured()]);
      const views = [...names]
        .sort()
        .map(async (name) => stationView(name, readStationState(await store.station(name))));
      return Promise.all(views);
    },
    async station(station: string) {
      const state = readStationState(await store.station(station));
      if (state.firstSeenAt === undefined && !directory.configured().includes(station)) return undefined;
      return stationView(station, state);
    },
    async operation(id: string): Promise<OperationView | undefined> {
      const record = await store.load(id);
      return record && record.kind !== 'firmware_fetch' ? operationView(record) : undefined;
    },
    /** Open and ended ones of a station, newest first. */
    async operationsOf(station: string): Promise<OperationView[]> {
      return (await store.operationsOf(station)).map(operationView);
    },
  };
}
