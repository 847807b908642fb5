/** Everything that is looked at, in the order in which it is told. docs/cli.md shows the table. */

import { describeError } from '@khumbu/shared/runtime/errors';
import { lookAtBroker } from './checks/broker.js';
import { lookAtClock } from './checks/clock.js';
import { lookAtDisk } from './checks/disk.js';
import { lookAtCertificates, lookAtKeys, lookAtSecrets } from './checks/files.js';
import { lookAtGateway } from './checks/gateway.js';
import { lookAtPorts } from './checks/ports.js';
import { lookAtNode, lookAtPrograms } from './checks/program.js';
import { lookAtRedis } from './checks/redis.js';
import { lookAtSettings } from './checks/settings.js';
import { lookAtStations } from './checks/stations.js';
import { lookAtStore } from './checks/store.js';
import { about, type Finding } from './finding.js';
import type { Place, PlaceKind } from './place.js';
import type { Sight } from './sight.js';

export interface Check {
  readonly subject: string;
  /** What it finds out. */
  readonly finds: string;
  readonly places: readonly PlaceKind[];
  readonly look: (place: Place, sight: Sight) => Promise<Finding[]>;
}

const HERE: readonly PlaceKind[] = ['services', 'up'];
const SERVED: readonly PlaceKind[] = ['services'];
const EVERYWHERE: readonly PlaceKind[] = ['services', 'up', 'remote'];

export const CHECKS: readonly Check[] = [
  { subject: 'node', finds: 'Node is too old', places: HERE, look: lookAtNode },
  { subject: 'programs', finds: 'a program that is called is not installed', places: HERE, look: lookAtPrograms },
  {
    subject: 'settings',
    finds: 'a setting is missing or not valid; a name in a file of settings that nobody reads',
    places: HERE,
    look: lookAtSettings,
  },
  {
    subject: 'redis',
    finds: 'away, refused, too old, without persistence or synced writes, evicting, full, a replica, a cluster',
    places: SERVED,
    look: lookAtRedis,
  },
  {
    subject: 'broker',
    finds: 'away, without MQTT 5 or QoS 2, small packets alone, open to everybody, a user is missing',
    places: SERVED,
    look: lookAtBroker,
  },
  {
    subject: 'store',
    finds: 'the object store is away or refuses, there is no such bucket',
    places: SERVED,
    look: lookAtStore,
  },
  { subject: 'ports', finds: 'a port is taken by another program', places: HERE, look: lookAtPorts },
  {
    subject: 'clock',
    finds: 'never set, apart from Redis or the gateway, kept by no time service',
    places: EVERYWHERE,
    look: lookAtClock,
  },
  {
    subject: 'disk',
    finds: 'little room or few inodes are left, or it cannot be written to',
    places: HERE,
    look: lookAtDisk,
  },
  {
    subject: 'keys',
    finds: 'the file of API keys is missing, empty, broken, or others may write it',
    places: HERE,
    look: lookAtKeys,
  },
  { subject: 'secrets', finds: 'a file with a secret may be read by others', places: SERVED, look: lookAtSecrets },
  {
    subject: 'certificates',
    finds: 'a file of certificates is missing or broken, one has expired or soon will',
    places: SERVED,
    look: lookAtCertificates,
  },
  {
    subject: 'stations',
    finds: 'the stations file is missing or broken; a key or a pinned host key of a station is missing',
    places: HERE,
    look: lookAtStations,
  },
  {
    subject: 'gateway',
    finds: 'it does not answer, is not ready, does not know the key; a file that a service follows is not usable',
    places: EVERYWHERE,
    look: lookAtGateway,
  },
];

/** All that fit the place, one after the other; each ends within seconds. */
export async function runChecks(place: Place, sight: Sight, signal: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { subject, places, look } of CHECKS) {
    signal.throwIfAborted();
    if (!places.includes(place.kind)) continue;
    try {
      findings.push(...(await look(place, sight)));
    } catch (error) {
      // What one of them may not see hides nothing of the others.
      const text = `it could not be looked at: ${describeError(error)}`;
      findings.push(about(subject).unknown(text, 'run it as the user of the services, or as root'));
    }
  }
  return findings;
}
