/**
 * The wire contract of EVerest's `system_API` as one table. The gateway, the station simulator and the published
 * documents walk it; nothing else knows a topic leaf, a QoS or a default reply.
 *
 * Directions are EVerest's: `e2m` is what a station sends to us, `m2e` what we send to it.
 */
import type { TSchema } from 'typebox';
import * as schema from './schemas.js';

/** How the bytes are framed: `envelope` is `{"headers":{"replyTo"},"payload"}`, `bare` is the JSON value alone. */
export type Frame = 'envelope' | 'bare' | 'any';

/** The name of a channel in the table is its topic leaf. */
export interface Channel {
  readonly direction: 'e2m' | 'm2e';
  /** Our side of the wire: what we subscribe or publish with. EVerest publishes with 2 and subscribes with 0. */
  readonly qos: 0 | 1;
  readonly frame: Frame;
  readonly payload: TSchema;
  /** The envelope may come without a payload (only `get_boot_reason`). */
  readonly payloadOptional?: true;
  readonly reply?: {
    readonly schema: TSchema;
    /** What EVerest assumes when no valid reply comes in time; what we answer when we cannot store a decision. */
    readonly fallback: unknown;
  };
}

const REQUEST = { direction: 'e2m', qos: 1, frame: 'envelope' } as const;
const STATUS = { direction: 'm2e', qos: 1, frame: 'bare' } as const;

export const CHANNELS = {
  update_firmware: {
    ...REQUEST,
    payload: schema.FirmwareUpdateRequest,
    reply: { schema: schema.UpdateFirmwareResponse, fallback: 'Rejected' },
  },
  allow_firmware_installation: { direction: 'e2m', qos: 1, frame: 'any', payload: schema.AnyPayload },
  upload_logs: {
    ...REQUEST,
    payload: schema.UploadLogsRequest,
    reply: { schema: schema.UploadLogsResponse, fallback: { upload_logs_status: 'Rejected' } },
  },
  /** true keeps installs away until the reset. */
  is_reset_allowed: { ...REQUEST, payload: schema.ResetType, reply: { schema: schema.ResetAllowed, fallback: false } },
  reset: { direction: 'e2m', qos: 1, frame: 'bare', payload: schema.ResetRequest },
  set_system_time: { ...REQUEST, payload: schema.SystemTime, reply: { schema: schema.SystemTimeSet, fallback: false } },
  /** Asked before the station connects to its CSMS. */
  get_boot_reason: {
    ...REQUEST,
    payload: schema.AnyPayload,
    payloadOptional: true,
    reply: { schema: schema.BootReason, fallback: 'Unknown' },
  },
  configure_network: {
    ...REQUEST,
    payload: schema.ConfigureNetworkRequest,
    reply: { schema: schema.ConfigureNetworkResponse, fallback: { status: 'NotSupported' } },
  },
  /** Counts from 0 in each boot; the first one means the station listens. */
  heartbeat: { direction: 'e2m', qos: 0, frame: 'bare', payload: schema.HeartBeatId },
  firmware_update_status: { ...STATUS, payload: schema.FirmwareUpdateStatus },
  log_status: { ...STATUS, payload: schema.LogStatus },
  configure_network_status: { ...STATUS, payload: schema.ConfigureNetworkStatus },
  communication_check: { ...STATUS, qos: 0, payload: schema.CommunicationCheck },
} as const satisfies Record<string, Channel>;

export type ChannelName = keyof typeof CHANNELS;
type Named<D extends Channel['direction']> = {
  [N in ChannelName]: (typeof CHANNELS)[N]['direction'] extends D ? N : never;
}[ChannelName];
/** What a station sends to us. */
export type E2mChannelName = Named<'e2m'>;
/** What we send to a station unasked. */
export type M2eChannelName = Named<'m2e'>;
/** What a station sends to us and waits to have answered. */
export type RequestChannelName = {
  [N in ChannelName]: (typeof CHANNELS)[N] extends { reply: unknown } ? N : never;
}[ChannelName];

export const channelNames = (direction: Channel['direction']): ChannelName[] =>
  (Object.keys(CHANNELS) as ChannelName[]).filter((name) => CHANNELS[name].direction === direction);

/** The table entry with its optional members in reach. */
export const channel = (name: ChannelName): Channel => CHANNELS[name];

/** The value EVerest assumes for a request without a reply in time; `undefined` for a channel that has no reply. */
export const fallbackReply = (name: ChannelName): unknown => channel(name).reply?.fallback;
