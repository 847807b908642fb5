/**
 * Prepare a network interface. A host that cannot be reached (it reboots, or a connection broke) is tried again until EVerest
 * waits no longer; what the station itself says is its answer: EVerest asks again before its next connection.
 */
import { putOff, type StepContext } from '@khumbu/operations/jobs/job-loop';
import { applyNetworkEvent, type ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { reasonOfCode } from '@khumbu/operations/records/reasons';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { isDriverFault } from '../driver-faults.js';
import { requireDriver, type StepDeps } from './step-deps.js';

const UNREACHABLE_PAUSE_MS = 1000;

export function createConfigureNetwork(deps: StepDeps) {
  const { store, now } = deps;
  return async (record: ConfigureNetworkRecord, { signal, commit, log }: StepContext): Promise<void> => {
    const { apn, vpn } = record.request;
    const setup = {
      interfaceName: record.interfaceName,
      ...(apn === undefined ? {} : { apn }),
      ...(vpn === undefined ? {} : { vpn }),
    };
    const context = () => ({ now: now() });
    let end: ReturnType<typeof applyNetworkEvent>;
    try {
      const { interfaceAddress } = await requireDriver(deps, record.station).configureNetwork(setup, signal);
      end = applyNetworkEvent(record, 'ready', context(), { interfaceAddress });
    } catch (error) {
      if (hasCode(error, 'STATION_UNREACHABLE')) {
        const again = putOff(record, UNREACHABLE_PAUSE_MS, 'station_unreachable', now());
        return commit(store.transaction().put(again));
      }
      if (!isDriverFault(error)) throw error;
      log.warn({ reason: error.code }, 'the network was not configured');
      end = applyNetworkEvent(record, 'failed', context(), { reason: reasonOfCode(error), message: error.message });
    }
    await commit(store.transaction().put(end.record).enqueueStatus(record.station, end.statuses));
  };
}
