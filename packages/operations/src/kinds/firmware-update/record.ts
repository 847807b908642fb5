import type { FirmwareUpdateRequest, FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import { plannedDate } from '@khumbu/shared/runtime/dates';
import type { RecordBase } from '../../records/record.js';
import type { CertificateEvidence } from './certificates.js';
import { type FirmwareUpdateState, isBeforeInstall } from './machine.js';

/** An image in the depot's store. */
export interface StoredImage {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The same before a coding was taken off that it seemed to have been sent with: a signature may be over this. */
  readonly asCame?: { readonly sha256: string; readonly sizeBytes: number };
}

/** SHA-256 of it, in every form that is kept. */
export const imagesOf = ({ sha256, asCame }: StoredImage): string[] => [sha256, ...(asCame ? [asCame.sha256] : [])];

/** The leave to install, and the boot of EVerest it was given in: it is void after a restart. */
export interface Permission {
  readonly bootEpoch: number;
  readonly at: number;
  readonly by: 'everest' | 'rest';
}

export interface FirmwareUpdateRecord extends RecordBase<'firmware_update', FirmwareUpdateState> {
  /** As asked; certificate and signature are dropped at the end. */
  readonly request: FirmwareUpdateRequest;
  /** Certificate and signature were given; never told by the id. */
  readonly signed: boolean;
  /** EVerest is told of this update. */
  readonly announced: boolean;
  /** Whether the installation needs a permission: of EVerest, or for a silent update of an operator. */
  readonly permissionNeeded: boolean;
  /** What the image or its location says; absent: nothing, which means connectors are disabled. */
  readonly disableConnectors?: boolean;
  /** Download tries that have begun. */
  readonly tries: number;
  /** The depot's fetch it waits for. */
  readonly fetch?: { readonly id: string; readonly generation: number };
  readonly image?: StoredImage;
  /** The boot epoch the trigger status was announced in; absent: the trigger has not been announced. */
  readonly triggerEpoch?: number;
  /** Since then EVerest is known to have heard the trigger, and its permission is waited for; monotonic. */
  readonly askedAt?: number;
  /** The boot epoch in which it was accepted. */
  readonly acceptedEpoch?: number;
  /** The trigger status, and what comes after it, is not told before this date; milliseconds since 1970. */
  readonly triggerHeldUntil?: number;
  /** What is told then, in this order. */
  readonly heldStatuses?: readonly FirmwareUpdateStatusEnum[];
  readonly permission?: Permission;
  /** The boot of the host before the reboot into the new image. */
  readonly bootIdBefore?: string;
  /** What EVerest's certificate store answered before the installation; absent: it is not judged. */
  readonly certificates?: CertificateEvidence;
  /** When that reboot was begun; monotonic. */
  readonly rebootBegunAt?: number;
  /** Its download had begun and was paused. Told as `DownloadPaused`; the state stays `Downloading`, which older processes know. */
  readonly downloadPaused?: true;
  /** An operator has paused its download. */
  readonly pausedByOperator?: ByOperator;
  /** An operator lets it be fetched whatever the window and the budgets say. */
  readonly downloadNow?: ByOperator;
  /** Bytes that its fetches have brought over the WAN, shared ones in full. */
  readonly wanBytes?: number;
  /** Bytes that were still to come when its download stopped; absent: not known. */
  readonly bytesToCome?: number;
}

/** When, and who: the name of a key or the subject of a token. */
export interface ByOperator {
  readonly at: number;
  readonly by?: string;
}

/** It can be paused: the image is not here yet. */
export const isBeforeDownloaded = ({ state }: FirmwareUpdateRecord): boolean =>
  state === 'Accepted' || state === 'DownloadScheduled' || state === 'Downloading';

/** When it is to be fetched, if that was asked for. Milliseconds; between 2000 and 2100 (`plannedDate`). */
export const retrieveAt = (record: FirmwareUpdateRecord): number | undefined =>
  record.request.retrieve_timestamp === undefined ? undefined : plannedDate(record.request.retrieve_timestamp);

/** When it is to be installed, if that was asked for. Milliseconds; between 2000 and 2100 (`plannedDate`). */
export const installAt = (record: FirmwareUpdateRecord): number | undefined =>
  record.request.install_timestamp === undefined ? undefined : plannedDate(record.request.install_timestamp);

/** The asked-for date that the state it is in waits for. Milliseconds; passed or absent: none. */
export function awaitedDate(record: FirmwareUpdateRecord): number | undefined {
  if (record.state === 'Accepted' || record.state === 'DownloadScheduled') return retrieveAt(record);
  return isBeforeInstall(record.state) ? installAt(record) : undefined;
}
