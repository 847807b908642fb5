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
  /** For the table in docs/system-api.md. */
  readonly description: string;
}

const REQUEST = { direction: 'e2m', qos: 1, frame: 'envelope' } as const;
const EVENT = { direction: 'e2m', qos: 1, frame: 'bare' } as const;
const STATUS = { direction: 'm2e', qos: 1, frame: 'bare' } as const;

export const CHANNELS = {
  update_firmware: {
    ...REQUEST,
    payload: schema.FirmwareUpdateRequest,
    reply: { schema: schema.UpdateFirmwareResponse, fallback: 'Rejected' },
    description: 'Start a firmware update.',
  },
  allow_firmware_installation: {
    ...EVENT,
    frame: 'any',
    payload: schema.AnyPayload,
    description: 'All connectors are out of use: the waiting update may be installed.',
  },
  upload_logs: {
    ...REQUEST,
    payload: schema.UploadLogsRequest,
    reply: { schema: schema.UploadLogsResponse, fallback: { upload_logs_status: 'Rejected' } },
    description: 'Collect the logs and store them.',
  },
  is_reset_allowed: {
    ...REQUEST,
    payload: schema.ResetType,
    reply: { schema: schema.ResetAllowed, fallback: false },
    description: 'May the station be reset? true keeps installs away until the reset.',
  },
  reset: { ...EVENT, payload: schema.ResetRequest, description: 'Reset the station now.' },
  set_system_time: {
    ...REQUEST,
    payload: schema.SystemTime,
    reply: { schema: schema.SystemTimeSet, fallback: false },
    description: 'The time the CSMS tells.',
  },
  get_boot_reason: {
    ...REQUEST,
    payload: schema.AnyPayload,
    payloadOptional: true,
    reply: { schema: schema.BootReason, fallback: 'Unknown' },
    description: 'Why did the station start? Asked before it connects to its CSMS.',
  },
  configure_network: {
    ...REQUEST,
    payload: schema.ConfigureNetworkRequest,
    reply: { schema: schema.ConfigureNetworkResponse, fallback: { status: 'NotSupported' } },
    description: 'Prepare a network interface before a connection to the CSMS.',
  },
  heartbeat: {
    ...EVENT,
    qos: 0,
    payload: schema.HeartBeatId,
    description: 'Counts from 0 in each boot; the first one means the station listens.',
  },
  firmware_update_status: {
    ...STATUS,
    payload: schema.FirmwareUpdateStatus,
    description: 'Where a firmware update stands.',
  },
  log_status: { ...STATUS, payload: schema.LogStatus, description: 'Where a log upload stands.' },
  configure_network_status: {
    ...STATUS,
    payload: schema.ConfigureNetworkStatus,
    description: 'How a network request that was answered with Processing ended.',
  },
  communication_check: {
    ...STATUS,
    qos: 0,
    payload: schema.CommunicationCheck,
    description: 'We are here and able to serve.',
  },
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
