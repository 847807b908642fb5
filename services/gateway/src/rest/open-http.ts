/** The REST API of a gateway from its settings: what it is made of, and the server that listens. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Server } from 'node:https';
import { createObjectStore } from '@khumbu/object-store/object-store';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/records/store';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Health } from '@khumbu/shared/runtime/health';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import type { GatewayConfig } from '../config.js';
import type { FrontDesk } from '../front-desk/front-desk.js';
import { buildApp, DEFAULT_APP_OPTIONS } from './app.js';
import type { Authenticate } from './authentication.js';
import { openEventLog } from './events/event-log.js';
import { createIdempotency } from './idempotency.js';
import { createInventory } from './inventory.js';
import type { Archives } from './routes/log-uploads.js';

export interface HttpParts {
  readonly config: GatewayConfig;
  /** Fails fast, like the front desk's. */
  readonly store: Store;
  readonly redis: Redis;
  /** A connection of its own that waits for events; closed with the rest. */
  readonly waiting: Redis;
  readonly directory: StationDirectory;
  readonly now: Now;
  readonly frontDesk: FrontDesk;
  readonly authenticate: Authenticate;
  readonly health: Health;
  readonly metrics: Registry;
  readonly isLeader: () => boolean;
  readonly log: Logger;
}

const CERT_LOOK_MS = 10_000;

function openArchives(config: GatewayConfig): Archives | undefined {
  if (config.S3_ENDPOINT === undefined) return undefined;
  const objects = createObjectStore(config, { stallMs: 3000 });
  const publicObjects =
    config.S3_PUBLIC_ENDPOINT === undefined
      ? objects
      : createObjectStore({ ...config, S3_ENDPOINT: config.S3_PUBLIC_ENDPOINT });
  return { bucket: config.S3_BUCKET, objects, publicObjects, urlSeconds: config.ARCHIVE_URL_S };
}

interface Certificate {
  readonly files: readonly string[];
  readonly read: () => { cert: Buffer; key: Buffer };
}

/** Throws `CONFIG_INVALID` for half of it, or files that cannot be read. */
function certificateOf({ HTTPS_CERT_FILE: certFile, HTTPS_KEY_FILE: keyFile }: GatewayConfig): Certificate | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined)
    throw new CodedError('CONFIG_INVALID', 'HTTPS_CERT_FILE and HTTPS_KEY_FILE belong together');
  const read = () => {
    try {
      return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    } catch (error) {
      throw new CodedError(
        'CONFIG_INVALID',
        `HTTPS_CERT_FILE or HTTPS_KEY_FILE cannot be read: ${describeError(error)}`,
      );
    }
  };
  return { files: [certFile, keyFile], read };
}

/** A renewed certificate is used for new connections; one that cannot be read changes nothing. */
function followRenewals(server: Server, { files, read }: Certificate, log: Logger): () => void {
  const renew = (): void => {
    try {
      server.setSecureContext(read());
      log.info('the HTTPS certificate was read again');
    } catch (error) {
      log.error({ err: error }, 'the HTTPS certificate is not used: it cannot be read');
    }
  };
  for (const file of files) watchFile(file, { interval: CERT_LOOK_MS, persistent: false }, renew);
  return () => {
    for (const file of files) unwatchFile(file, renew);
  };
}

/** Resolves when it listens; `url` says where. */
export async function openHttp(parts: HttpParts): Promise<{ url: string; close: () => Promise<void> }> {
  const { config, store, redis, directory, log } = parts;
  const certificate = certificateOf(config);
  const events = await openEventLog({ waiting: parts.waiting, redis, keys: store.keys, log });
  const app = await buildApp(
    {
      ...parts,
      keys: store.keys,
      inventory: createInventory(redis, store, directory, parts.now),
      idempotency: createIdempotency(redis, store.keys),
      events,
      archives: openArchives(config),
    },
    {
      ...DEFAULT_APP_OPTIONS,
      bodyLimitBytes: config.HTTP_BODY_LIMIT_BYTES,
      rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
      mostSubscribers: config.MAX_EVENT_SUBSCRIBERS,
      mostSubscribersPerCaller: config.MAX_EVENT_STREAMS_PER_CALLER,
      requestTimeoutMs: config.HTTP_REQUEST_TIMEOUT_S * 1000,
      ...(certificate ? { https: certificate.read() } : {}),
      asyncApi: { topicPrefix: config.MQTT_TOPIC_PREFIX, brokerHost: new URL(config.MQTT_URL).host },
    },
  );
  const url = await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT });
  const endRenewals = certificate ? followRenewals(app.server as unknown as Server, certificate, log) : () => {};
  return {
    url,
    async close() {
      endRenewals();
      await app.close();
      events.stop();
    },
  };
}
