/** Live views of logs in a worker: what they are made of. */

import { takeViews } from '@khumbu/operations/log-views/take-views';
import type { Keys } from '@khumbu/operations/records/keys';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { LogWorkerConfig } from '../config.js';
import { type ServeViewDeps, serveView } from './serve-view.js';

const ALIVE_MS = 15_000;

interface Parts extends Pick<ServeViewDeps, 'driverOf' | 'redactorOf'> {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly directory: StationDirectory;
  readonly log: Logger;
}

type Settings = Pick<
  LogWorkerConfig,
  'REDIS_URL' | 'LOG_VIEWS_AT_ONCE' | 'LOG_VIEW_BYTES_PER_S' | 'LOG_VIEW_MAX_BYTES' | 'LOG_VIEW_MAX_S'
>;

export function startViews(config: Settings, { redis, keys, directory, driverOf, redactorOf, log }: Parts) {
  const connect = (what: string): Redis =>
    patientRedis(config.REDIS_URL, (error) => log.debug({ err: error, what }, 'Redis connection'));
  const deps: ServeViewDeps = {
    profileOf: (station) => directory.profileOf(station),
    driverOf,
    redactorOf,
    limits: {
      bytesPerS: config.LOG_VIEW_BYTES_PER_S,
      maxBytes: config.LOG_VIEW_MAX_BYTES,
      maxS: config.LOG_VIEW_MAX_S,
      aliveMs: ALIVE_MS,
    },
  };
  return takeViews({
    redis,
    blocking: connect('live views'),
    subscriber: connect('readers of live views'),
    keys,
    atOnce: config.LOG_VIEWS_AT_ONCE,
    serve: (request, output, signal) => serveView(request, output, deps, signal),
    onError: (error) => log.warn({ reason: describeError(error) }, 'a live view of logs failed'),
  });
}
