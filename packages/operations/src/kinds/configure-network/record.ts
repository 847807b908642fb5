import type { ConfigureNetworkRequest, ConfigureNetworkStatus } from '@khumbu/shared/contract/schemas';
import type { Moment } from '../../clock/depot-clock.js';
import { type OutboxEntry, outboxEntry } from '../../outbox/entry.js';
import { type Reason, reasonOfEvent } from '../../records/reasons.js';
import { ended, inState, OFFER_MS, type RecordBase } from '../../records/record.js';

/** EVerest asks before every connection to its CSMS and waits for the final status. */
export type ConfigureNetworkState = 'Offered' | 'Accepted' | 'Ready' | 'Failed' | 'Superseded' | 'Withdrawn';
export type ConfigureNetworkEvent =
  | 'confirmed'
  | 'withdrawn'
  | 'ready'
  | 'failed'
  | 'superseded'
  | 'canceled'
  | 'outOfTime';

export interface ConfigureNetworkRecord extends RecordBase<'configure_network', ConfigureNetworkState> {
  /** Holds secrets until the end, never after it. */
  readonly request: ConfigureNetworkRequest;
  readonly interfaceName: string;
  readonly interfaceAddress?: string;
}

type Row = Partial<Record<ConfigureNetworkEvent, ConfigureNetworkState>>;
export const CONFIGURE_NETWORK_TRANSITIONS = {
  Offered: { confirmed: 'Accepted', withdrawn: 'Withdrawn', outOfTime: 'Withdrawn', superseded: 'Withdrawn' },
  Accepted: { ready: 'Ready', failed: 'Failed', superseded: 'Superseded', canceled: 'Failed', outOfTime: 'Failed' },
  Ready: {},
  Failed: {},
  Superseded: {},
  Withdrawn: {},
} as const satisfies Record<ConfigureNetworkState, Row>;

/** libocpp gives a profile up after 60 s by default; an answer after that is of no use. */
const NETWORK_DEADLINES = { offerMs: OFFER_MS, configureMs: 55_000 } as const;

/** One event on one request: the record after it and what EVerest hears. Pure. Throws for an event out of place. */
export function applyNetworkEvent(
  before: ConfigureNetworkRecord,
  event: ConfigureNetworkEvent,
  context: { readonly now: Moment },
  detail: { reason?: Reason; message?: string; interfaceAddress?: string } = {},
): { record: ConfigureNetworkRecord; statuses: OutboxEntry[] } {
  const state = (CONFIGURE_NETWORK_TRANSITIONS[before.state] as Row)[event];
  if (!state) throw new TypeError(`a network request in ${before.state} knows no ${event}`);
  const { now } = context;
  const record = inState(before, state, now, detail.reason);
  if (state === 'Accepted')
    return { record: { ...record, deadlineAt: now.monotonic + NETWORK_DEADLINES.configureMs }, statuses: [] };
  const { apn: _apn, vpn: _vpn, ...request } = record.request;
  const ok = state === 'Ready';
  const address = detail.interfaceAddress === undefined ? {} : { interfaceAddress: detail.interfaceAddress };
  const reason = detail.reason ?? reasonOfEvent(event);
  const message = detail.message === undefined ? {} : { message: detail.message };
  const final = ended({ ...record, request, ...address }, now, ok ? { ok } : { ok, reason, ...message });
  if ((state !== 'Ready' && state !== 'Failed') || record.origin !== 'everest') return { record: final, statuses: [] };
  const payload: ConfigureNetworkStatus = {
    request_id: record.requestId,
    status: state,
    ...(ok && detail.interfaceAddress !== undefined ? { interface_address: detail.interfaceAddress } : {}),
  };
  return { record: final, statuses: [outboxEntry('configure_network_status', record.id, payload, now)] };
}
