import { keptLocation } from '../../records/secrets.js';
import { imagesOf } from '../firmware-update/record.js';
import type { KindDefinition } from '../kind-definition.js';
import { FIRMWARE_FETCH_TRANSITIONS, type FirmwareFetchEvent, type FirmwareFetchRecord } from './record.js';

export const firmwareFetch = {
  scope: 'depot',
  transitions: FIRMWARE_FETCH_TRANSITIONS,
  waits: { words: { Fetching: 'download', Delivering: 'worker' } },
  queue: 'firmware-fetches',
  jobs: ['fetch'],
  nextWork: ({ state }) => (state === 'Resting' ? undefined : { name: 'fetch' as const }),
  // One that rests is used again; with an image it is worth keeping.
  retention: ({ held }) => (held ? 'cache' : 'brief'),
  withoutSecrets: (record) => ({ ...record, location: keptLocation(record.location) }),
  images: ({ held }) => (held ? imagesOf(held.image) : []),
  // One that no update waits for any more needs nothing.
  needing({ held, result, location, waiters, nextWaiters }, sha256, isFor) {
    const isNamed = held !== undefined && imagesOf(held.image).includes(sha256);
    const isGiven = result?.ok === true && result.image.sha256 === sha256;
    return isNamed || isGiven || isFor(location) ? [...waiters, ...nextWaiters] : [];
  },
} as const satisfies KindDefinition<FirmwareFetchRecord, FirmwareFetchEvent>;
