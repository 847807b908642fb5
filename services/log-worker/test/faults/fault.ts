/** A fault of a log upload as it is played: what must come of it, and what makes it go away. */
import type { TransferContext } from '@khumbu/transfer/port';
import type { UploadFailureStatus } from '../../src/upload/failure-status.js';
import type { Openings } from './station.js';

/** Where one upload goes, and from where. */
export interface Site {
  readonly location: string;
  readonly context?: Partial<TransferContext>;
  readonly logs?: Openings;
  readonly spoolDir?: string;
}

export interface Played {
  readonly broken: Site;
  /** Make it good. Where another location, or another setting, is what helps: that. */
  readonly mend: () => Promise<Partial<Site> | undefined> | Partial<Site> | undefined;
  /** What has arrived since, at the end. */
  readonly arrived: () => Promise<Buffer> | Buffer;
}

export interface Fault {
  readonly fault: string;
  /** What EVerest hears when no try is left, in OCPP 2.x. */
  readonly status: UploadFailureStatus;
  readonly reason: string;
  /** Whether tries that are left are made. */
  readonly retried: boolean;
  readonly play: () => Promise<Played> | Played;
}

/** Faults that may pass, and those that will not. */
export const passing = (fault: string, reason: string, play: Fault['play']): Fault => ({
  fault,
  status: 'UploadFailure',
  reason,
  retried: true,
  play,
});
export const final = (fault: string, status: UploadFailureStatus, reason: string, play: Fault['play']): Fault => ({
  fault,
  status,
  reason,
  retried: false,
  play,
});
