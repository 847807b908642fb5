/** What a simulated station can be, and what it reports. */
import type { BootReason } from '@khumbu/shared/contract/schemas';
import type { CertificateLeaf } from '@khumbu/shared/contract/topics';
import type { RequestOutcome } from './boot-requests.js';
import type { ChargerWatch } from './charger-watch.js';
import type { CommunicationFault } from './communication-check.js';
import type { DialectCheckOptions } from './dialect-checks.js';
import type { StationDialect } from './ocpp-peer.js';
import type { ReceivedStatus } from './status-log.js';

export interface EverestModuleOptions extends DialectCheckOptions {
  readonly mqttUrl: string;
  readonly username?: string;
  readonly password?: string;
  /** Template, as `depot/{station}/`; default empty. */
  readonly topicPrefix?: string;
  readonly station: string;
  /** Default: the station's id. */
  readonly moduleId?: string;
  /** Default 1000; 0 or less: none. */
  readonly heartbeatMs?: number;
  /** Default 5; 0 or less: silence of ours is no fault. */
  readonly communicationCheckS?: number;
  /** Default 30; fractions are fine. EVerest's own default is 550. */
  readonly requestReplyTimeoutS?: number;
  readonly dialect: StationDialect;
  /** Offer `ocpp_consumer_API`, so that others can see the link to the CSMS. Default false. */
  readonly exposeOcppConsumer?: boolean;
  /**
   * Offer `evse_security_consumer_API`: the status of each kind of certificate when it is asked for; a kind that is absent gets
   * no answer. Default: no such module.
   */
  readonly certificates?: () => Partial<Readonly<Record<CertificateLeaf, string>>>;
  /** Answer discovery. Default true. */
  readonly answersDiscovery?: boolean;
  /** From the answered boot reason to the accepted BootNotification; default 50. */
  readonly registrationMs?: number;
  /** How long EVerest is away for a restart; default 200. */
  readonly restartMs?: number;
  /** How long the charger is away for a reboot; default 500. */
  readonly rebootMs?: number;
  /** Without `watch`: after a reset or `InstallRebooting`, go down after this pause, or never. Default 50. */
  readonly goDownMs?: number | 'never';
  /** The charger underneath: it alone then decides when EVerest goes down and comes up. */
  readonly watch?: ChargerWatch;
}

export interface Boot {
  /** From 1. */
  readonly number: number;
  readonly atMs: number;
  bootReason?: BootReason;
}

export interface EverestModuleEvents {
  up: [boot: Boot];
  down: [why: string];
  /** The process ended by itself and stays away until `start`. */
  exited: [why: string];
  status: [status: ReceivedStatus];
  check: [value: boolean];
  /** When it is raised, and again, with `clearedAtMs`, when it is cleared. */
  fault: [fault: CommunicationFault];
  violation: [violation: string];
  allow: [];
  replied: [outcome: RequestOutcome];
}

export type Tell = <K extends keyof EverestModuleEvents>(event: K, ...details: EverestModuleEvents[K]) => void;

/** Module id of the `ocpp_consumer_API` of every simulated station that has one. */
export const OCPP_CONSUMER_MODULE = 'ocpp_consumer';
/** Module id of its `evse_security_consumer_API`. */
export const EVSE_SECURITY_MODULE = 'evse_security_consumer';
