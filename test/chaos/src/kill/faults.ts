/** What can be done to a process of the depot, and to whom. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Depot, ProcessName, ServerName, ServiceName } from '../depot/depot.js';
import type { TcpProxy } from '../depot/proxy.js';

export const TARGETS = [
  'gateway leader',
  'standby',
  'ota-worker',
  'log-worker',
  'system-control',
  'Redis',
  'mosquitto',
  'S3',
] as const;
export type Target = (typeof TARGETS)[number];

export const FAULT_KINDS = ['SIGKILL', 'SIGSTOP', 'network refused'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly target: Target;
  readonly kind: FaultKind;
  /** How long it stands still or cannot be reached; a kill is over at once. */
  readonly forMs: number;
}

export const nameOf = ({ kind, target }: Pick<Fault, 'kind' | 'target'>): string => `${kind} of ${target}`;

const SERVERS: Partial<Record<Target, ServerName>> = { Redis: 'redis', mosquitto: 'mosquitto', S3: 's3' };
const ALL_SERVERS: readonly ServerName[] = ['redis', 'mosquitto', 's3'];

/** Who that is right now; of several workers of a kind `pick` takes one. */
export async function processOf(
  depot: Depot,
  target: Target,
  pick: (names: readonly ServiceName[]) => ServiceName = ([first]) => first as ServiceName,
): Promise<ProcessName> {
  switch (target) {
    case 'gateway leader':
      return depot.leader();
    case 'standby':
      return depot.standby();
    case 'Redis':
    case 'mosquitto':
    case 'S3':
      return SERVERS[target] as ServerName;
    default:
      return pick(depot.services.filter((name) => name.startsWith(target)));
  }
}

/** Every proxy whose breaking takes this one off the network. */
function proxiesOf(depot: Depot, name: ProcessName, stationProxy: TcpProxy): TcpProxy[] {
  const server = ALL_SERVERS.find((one) => one === name);
  if (!server) return ALL_SERVERS.map((one) => depot.proxy(name as ServiceName, one));
  const proxies = depot.services.map((service) => depot.proxy(service, server));
  return server === 'mosquitto' ? [...proxies, stationProxy] : proxies;
}

/** Do it, to whom `processOf` found; resolves when it is over. The harm is done before the first await. */
export async function strike(depot: Depot, name: ProcessName, fault: Fault, stationProxy: TcpProxy): Promise<void> {
  const victim = depot.process(name);
  switch (fault.kind) {
    case 'SIGKILL':
      return victim.kill();
    case 'SIGSTOP':
      victim.freeze();
      await delay(fault.forMs);
      return victim.thaw();
    case 'network refused': {
      const proxies = proxiesOf(depot, name, stationProxy);
      await Promise.all(proxies.map((proxy) => proxy.refuse()));
      await delay(fault.forMs);
      await Promise.all(proxies.map((proxy) => proxy.mend()));
    }
  }
}
