/** What to answer to `configure_network`. Without an answer the station does not connect to its CSMS. Pure. */
import type { ConfigureNetworkRequest, ConfigureNetworkResponse } from '@khumbu/shared/contract/schemas';
import { configuresNetworks } from '@khumbu/shared/stations/driver-entry';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { RefusalReason } from './refusal-reasons.js';

export type NetworkDecision =
  | { readonly reply: ConfigureNetworkResponse & { status: 'Processing' }; readonly interfaceName: string }
  | {
      readonly reply: ConfigureNetworkResponse & { status: 'NotSupported' | 'Rejected' };
      readonly reason: RefusalReason;
      /** The interfaces that the station has. */
      readonly allowed?: readonly string[];
    };

/**
 * A name wins over the class. Only a station that has interfaces refuses one it does not have: after `Rejected` EVerest
 * skips that connection profile, after `NotSupported` it connects as it would without asking. So is answered, too, where the driver
 * has no way to prepare an interface.
 */
export function decideNetwork(request: ConfigureNetworkRequest, profile: StationProfile | undefined): NetworkDecision {
  const interfaces = profile?.interfaces ?? {};
  const names = Object.values(interfaces).filter((known) => known !== '');
  const isAble = configuresNetworks(profile?.driverEntry ?? 'simulated');
  if (names.length === 0 || !isAble) return { reply: { status: 'NotSupported' }, reason: 'not_supported' };
  const { interface: interfaceClass, interface_name: name } = request;
  const found =
    name !== undefined && name !== ''
      ? names.find((known) => known === name)
      : interfaceClass === 'Any'
        ? names[0]
        : Object.hasOwn(interfaces, interfaceClass)
          ? interfaces[interfaceClass]
          : undefined;
  if (!found)
    return {
      reply: { status: 'Rejected' },
      reason: 'interface_unknown',
      allowed: name ? names : ['Any', ...Object.keys(interfaces)],
    };
  return { reply: { status: 'Processing' }, interfaceName: found };
}
