/** A depot on small disks, and how its cases ask and judge. */

import { join } from 'node:path';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import { mountSmallDisk, type SmallDisk } from '@khumbu/test-support/small-disk';
import { withoutRepeats } from '@khumbu/test-support/statuses';
import { type Depot, startDepot } from '../depot/depot.js';
import { openProxy, type TcpProxy } from '../depot/proxy.js';
import { openS3FaultProxy, type S3FaultProxy } from '../depot/s3-fault-proxy.js';
import type { ExperimentContext } from '../experiment.js';

export const MB = 1_000_000;
export const MIB = 1024 * 1024;
/** Long enough for a busy machine. */
export const PATIENCE_MS = 60_000;
/** An image whose location says so needs no permission. */
export const NO_PERMISSION = '#disable_connectors_during_install=false';

const SIZES = { spool: 400 * MIB, redis: 24 * MIB, s3: 96 * MIB, chargers: 8 * MIB } as const;
export type DiskName = keyof typeof SIZES;

export interface DiskWorld {
  readonly context: ExperimentContext;
  readonly depot: Depot;
  readonly origin: Origin;
  readonly disks: Readonly<Record<DiskName, SmallDisk>>;
  /** Between the log-worker and the object store. */
  readonly s3Faults: S3FaultProxy;
  readonly s3Proxy: TcpProxy;
  /** A new station, with a client that lasts as long as the world. */
  station(name: string): Promise<EverestClient>;
}

/** What REST says of an operation, as far as it is judged. */
export interface Seen {
  readonly operationId: string;
  readonly status: string;
  readonly ended: boolean;
  readonly requestId: number;
  readonly waitingFor?: string;
  readonly outcome?: { readonly ok: boolean; readonly reason?: string; readonly message?: string };
  readonly history: readonly { readonly status: string; readonly reason?: string }[];
}

export interface DiskCase {
  readonly name: string;
  /** Part of the short form. */
  readonly short?: true;
  /** What was seen instead; empty: it held. */
  run(world: DiskWorld): Promise<string[]>;
}

/** `undefined` where mounting is not allowed. */
export async function buildWorld(context: ExperimentContext): Promise<DiskWorld | undefined> {
  const dir = join(context.dir, 'depot');
  const disks: Partial<Record<DiskName, SmallDisk>> = {};
  for (const [name, bytes] of Object.entries(SIZES) as [DiskName, number][]) {
    const disk = await mountSmallDisk(context, join(dir, name), bytes);
    if (!disk) return undefined;
    disks[name] = disk;
  }
  const origin = await startOrigin();
  context.teardown(() => origin.close());
  const s3Faults = await openS3FaultProxy(context);
  const s3Proxy = await openProxy(Number(new URL(s3Faults.endpoint).port));
  context.teardown(() => s3Proxy.close());
  const depot = await startDepot(context, {
    dir,
    env: { RECONCILE_INTERVAL_MS: '500', RATE_LIMIT_PER_MINUTE: '1000000' },
    envOf: {
      'log-worker-1': {
        S3_ENDPOINT: `http://127.0.0.1:${s3Proxy.port}`,
        UPLOAD_STALL_MS: context.effort === 'short' ? '30000' : '3000',
      },
    },
    stations: { big: { simulated: { log_interval_ms: 200, log_history_s: 36_000 } } },
  });
  s3Faults.forwardTo(depot.s3.endpoint);
  return {
    context,
    depot,
    origin,
    disks: disks as Record<DiskName, SmallDisk>,
    s3Faults,
    s3Proxy,
    async station(name) {
      const client = await startEverestClient({ mqttUrl: depot.mqttUrl, moduleId: name });
      context.teardown(() => client.close());
      return client;
    },
  };
}

/** Nothing but the words in `expected`, in their order. */
export function differs(what: string, seen: readonly string[], expected: readonly string[]): string[] {
  const told = withoutRepeats(seen);
  return told.join(' ') === expected.join(' ')
    ? []
    : [`${what} heard ${told.join(' ')} in place of ${expected.join(' ')}`];
}

const PATHS = { firmware: 'firmware-updates', logs: 'log-uploads' } as const;

/** The operation as REST shows it, once `when` takes it and the station received its end. */
export async function seen(
  { depot }: DiskWorld,
  what: keyof typeof PATHS,
  station: string,
  requestId: number,
  when: (operation: Seen) => boolean = ({ ended }) => ended,
  deadlineMs = PATIENCE_MS,
): Promise<Seen> {
  let last = 'nothing';
  return awaitUntil(
    async () => {
      const { items } = (await depot.get(`/stations/${station}/${PATHS[what]}`)) as { items: Seen[] };
      const found = items.find((one) => one.requestId === requestId);
      last = JSON.stringify(found);
      if (!found || !when(found)) return undefined;
      const isTold = !found.ended || (await depot.redis.llen(`khumbu:outbox:${station}`)) === 0;
      return isTold ? found : undefined;
    },
    deadlineMs,
    `${what} ${requestId} of ${station}`,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${last}`);
  });
}

export const isWaitingForRetry = ({ waitingFor }: Seen): boolean => waitingFor === 'retry';

/** The end as REST shows it: this reason, and a message with these words in it. */
export function wrongEnd({ status, outcome }: Seen, wanted: string, reason: string, message: RegExp): string[] {
  const faults: string[] = [];
  if (status !== wanted) faults.push(`it ended as ${status}, not ${wanted}`);
  if (outcome?.reason !== reason) faults.push(`its reason is ${outcome?.reason}, not ${reason}`);
  if (!message.test(outcome?.message ?? '')) faults.push(`its message does not help: ${outcome?.message}`);
  return faults;
}

export async function askUpdate(
  client: EverestClient,
  requestId: number,
  location: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const request = { request_id: requestId, location, retries: 1, retry_interval_s: 1, ...more };
  return (await askUntilDecided('update_firmware', () => client.request('update_firmware', request))).reply;
}

export async function askLogs(
  client: EverestClient,
  requestId: number,
  location: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const request = { request_id: requestId, type: 'DiagnosticsLog', location, retries: 1, retry_interval_s: 1, ...more };
  return (await askUntilDecided('upload_logs', () => client.request('upload_logs', request))).reply;
}
