/** What can be done to a process of the house, and to whom. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cable } from '../house/cable.js';
import type { House, ResidentName, ServerName, ServiceName } from '../house/house.js';

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
export async function residentOf(
  house: House,
  target: Target,
  pick: (names: readonly ServiceName[]) => ServiceName = ([first]) => first as ServiceName,
): Promise<ResidentName> {
  switch (target) {
    case 'gateway leader':
      return house.leader();
    case 'standby':
      return house.standby();
    case 'Redis':
    case 'mosquitto':
    case 'S3':
      return SERVERS[target] as ServerName;
    default:
      return pick(house.services.filter((name) => name.startsWith(target)));
  }
}

/** Every cable whose breaking takes this one off the network. */
function cablesOf(house: House, name: ResidentName, stationLine: Cable): Cable[] {
  const server = ALL_SERVERS.find((one) => one === name);
  if (!server) return ALL_SERVERS.map((one) => house.cable(name as ServiceName, one));
  const cables = house.services.map((service) => house.cable(service, server));
  return server === 'mosquitto' ? [...cables, stationLine] : cables;
}

/** Do it, to whom `residentOf` found; resolves when it is over. The harm is done before the first await. */
export async function strike(house: House, name: ResidentName, fault: Fault, stationLine: Cable): Promise<void> {
  const resident = house.resident(name);
  switch (fault.kind) {
    case 'SIGKILL':
      return resident.kill();
    case 'SIGSTOP':
      resident.freeze();
      await delay(fault.forMs);
      return resident.thaw();
    case 'network refused': {
      const cables = cablesOf(house, name, stationLine);
      await Promise.all(cables.map((cable) => cable.refuse()));
      await delay(fault.forMs);
      await Promise.all(cables.map((cable) => cable.mend()));
    }
  }
}
