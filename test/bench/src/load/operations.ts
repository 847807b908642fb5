/** Operations as the intake leaves them: confirmed, for system-control to do. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyNetworkEvent, type ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { newOperationId, newRecordBase } from '@khumbu/operations/records/record';

const INTERFACE = 'eth0';
const context = () => ({ now: momentOf(Date.now()) });

export function acceptedOperation(station: string, requestId: number): ConfigureNetworkRecord {
  const now = momentOf(Date.now());
  const id = newOperationId('configure_network', now);
  const options = { station, origin: 'everest', requestId, now, id } as const;
  const offer: ConfigureNetworkRecord = {
    ...newRecordBase<'configure_network', 'Offered'>('configure_network', 'Offered', options),
    request: { request_id: requestId, interface: 'Wired0' } as ConfigureNetworkRecord['request'],
    interfaceName: INTERFACE,
  };
  return applyNetworkEvent(offer, 'confirmed', context()).record;
}

/** Its end, with the status for EVerest. */
export const doneOperation = (record: ConfigureNetworkRecord): ReturnType<typeof applyNetworkEvent> =>
  applyNetworkEvent(record, 'ready', context(), { interfaceAddress: INTERFACE });
