/** The station's link to its CSMS, and what `ocpp_consumer_API` publishes of it. */
import { dump } from '@khumbu/shared/contract/everest-frames';
import { OCPP_CONSUMER } from '@khumbu/shared/contract/topics';
import { ACCIDENTAL_TRUE } from './everest-frames.js';
import { OCPP_CONSUMER_MODULE } from './everest-options.js';
import type { StationDialect } from './ocpp-peer.js';

const HEARTBEAT_INTERVAL_S = 300;

export function createCsmsLink(dialect: StationDialect, exposed: boolean) {
  const latched = new Map<string, string>();
  let registered = false;
  return {
    /** BootNotification was accepted in this boot. */
    get registered() {
      return registered;
    },
    /** A boot begins, or ended: nothing is known. */
    forget(): void {
      registered = false;
      latched.clear();
    },
    /** The link comes up, and the CSMS accepts the station at once; or it goes down. */
    set(connected: boolean, publish: (topic: string, text: string) => void): void {
      registered = connected;
      const registration = {
        status: 'Accepted',
        current_time: new Date().toISOString(),
        interval: HEARTBEAT_INTERVAL_S,
      };
      const values = {
        connection_status: { connected, ocpp_version: dialect === 'ocpp1.6' ? '1.6' : '2.0.1' },
        ...(connected ? { boot_notification_response: registration } : {}),
      };
      for (const [leaf, value] of Object.entries(values)) {
        latched.set(leaf, dump(value));
        if (exposed) publish(`everest_api/1/${OCPP_CONSUMER.type}/${OCPP_CONSUMER_MODULE}/e2m/${leaf}`, dump(value));
      }
    },
    /** The bytes for a question after the last value. */
    latched: (leaf: string): string => latched.get(leaf) ?? ACCIDENTAL_TRUE,
  };
}
