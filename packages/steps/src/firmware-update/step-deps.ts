/** What the steps of an update need, and the few things they all do with it. */
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import {
  applyUpdateEvent,
  type EventDetail,
  type TransitionContext,
} from '@khumbu/operations/kinds/firmware-update/transition';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { dialectOf, readStation, type StationState } from '@khumbu/operations/stations/station-state';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { ImageChecks, ImageStore } from './image-ports.js';

export interface StepDeps extends Pick<WorkerParts, 'store' | 'jobs' | 'directory' | 'now'> {
  readonly images: ImageStore;
  readonly checks: ImageChecks;
  readonly driverOf: (profile: StationProfile) => StationDriver;
  /** As `contentPath` of an image has it, of images by their SHA-256; none: stations are handed no URLs. */
  readonly contentPath?: (sha256: string, seconds: number) => Promise<string>;
}

export interface StationView {
  readonly state: StationState;
  readonly profile: StationProfile | undefined;
  readonly context: TransitionContext;
}

/** The station as it is stored and configured now. */
export async function viewStation({ store, directory, now }: StepDeps, station: string): Promise<StationView> {
  const state = await readStation(store, station);
  const profile = directory.profileOf(station);
  const context = {
    now: now(),
    dialect: dialectOf(profile, state),
    bootEpoch: state.bootEpoch,
    ...(profile?.readyStatus === 'before-install' ? { triggerLeadMs: profile.readyLeadMs } : {}),
  };
  return { state, profile, context };
}

/** Several events in one commit, each with its statuses. */
export function applyAll(
  transaction: Transaction,
  record: FirmwareUpdateRecord,
  events: readonly { readonly event: FirmwareUpdateEvent; readonly detail?: EventDetail }[],
  context: TransitionContext,
): FirmwareUpdateRecord {
  let current = record;
  const statuses = [];
  for (const { event, detail } of events) {
    const applied = applyUpdateEvent(current, event, context, detail);
    current = applied.record;
    statuses.push(...applied.statuses);
  }
  transaction.put(current).enqueueStatus(record.station, statuses);
  return current;
}

/** The end of an update whose image was lost. A new request for the same location fetches it again. */
export async function loseImage(deps: StepDeps, record: FirmwareUpdateRecord): Promise<Transaction> {
  const { context } = await viewStation(deps, record.station);
  const transaction = deps.store.transaction();
  applyAll(transaction, record, [{ event: 'imageLost' }], context);
  return transaction;
}
