/** What to answer to `configure_network`. Without an answer the station does not connect to its CSMS. Pure. */
import type { ConfigureNetworkRequest, ConfigureNetworkResponse } from '@khumbu/shared/contract/schemas';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';

export type NetworkDecision =
  | { readonly reply: ConfigureNetworkResponse & { status: 'Processing' }; readonly interfaceName: string }
  | { readonly reply: ConfigureNetworkResponse & { status: 'NotSupported' | 'Rejected' }; readonly reason: string };

/** A name wins over the class; a name or class the stations file does not know is refused. */
export function decideNetwork(request: ConfigureNetworkRequest, profile: StationProfile | undefined): NetworkDecision {
  const interfaces = profile?.interfaces;
  if (!interfaces) return { reply: { status: 'NotSupported' }, reason: 'not_supported' };
  const names = Object.values(interfaces);
  const { interface: interfaceClass, interface_name: name } = request;
  const found =
    name !== undefined
      ? names.find((known) => known === name)
      : interfaceClass === 'Any'
        ? names[0]
        : Object.hasOwn(interfaces, interfaceClass)
          ? interfaces[interfaceClass]
          : undefined;
  if (found === undefined) return { reply: { status: 'Rejected' }, reason: 'interface_unknown' };
  return { reply: { status: 'Processing' }, interfaceName: found };
}
