/**
 * The wire contract of EVerest's `system_API` as one table. The gateway, the station simulator and the published
 * documents walk it; nothing else knows a topic leaf, a QoS or a default reply. Its texts say what a message means to Khumbu,
 * and where the wire or our tolerance differs from EVerest's specification.
 *
 * Directions are EVerest's: `e2m` is what a station sends to us, `m2e` what we send to it.
 */
import type { TSchema } from 'typebox';
import { asked, example, type MessageText, message } from './message-text.js';
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
    readonly text: MessageText;
  };
  /** For the table in docs/system-api.md. */
  readonly description: string;
  /** For the AsyncAPI document. */
  readonly text: MessageText;
}

const REQUEST = { direction: 'e2m', qos: 1, frame: 'envelope' } as const;
const EVENT = { direction: 'e2m', qos: 1, frame: 'bare' } as const;
const STATUS = { direction: 'm2e', qos: 1, frame: 'bare' } as const;

export const CHANNELS = {
  update_firmware: {
    ...REQUEST,
    payload: schema.FirmwareUpdateRequest,
    reply: {
      schema: schema.UpdateFirmwareResponse,
      fallback: 'Rejected',
      text: message(
        'Reply to update_firmware',
        'The verdict; the work follows and is told by firmware_update_status.',
        example('The update will start', 'Accepted'),
      ),
    },
    description: 'Start a firmware update.',
    text: message(
      'Update the firmware',
      'Starts an update. It counts as signed if certificate and signature are both there, whatever the id. EVerest ' +
        'counts the first try in `retries`.',
      asked('A signed update', {
        location: 'https://firmware.example.com/charger-2.4.1.raucb',
        request_id: 17,
        retries: 3,
        retry_interval_s: 60,
        retrieve_timestamp: '2026-03-01T02:00:00.000Z',
        signing_certificate: '-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n',
        signature: 'MEUCIQDb5l0=',
      }),
      asked('The plain UpdateFirmware of OCPP 1.6', {
        location: 'ftp://files.example.com/charger-2.4.1.bin',
        request_id: -1,
      }),
    ),
  },
  allow_firmware_installation: {
    ...EVENT,
    frame: 'any',
    payload: schema.AnyPayload,
    description: 'All connectors are out of use: the waiting update may be installed.',
    text: message(
      'Allow the installation',
      'All connectors are out of use: the update that waits may be installed. The specification shows no payload. On ' +
        'the wire it is the four bytes `true` today and may be empty in another EVerest; Khumbu takes any content, JSON ' +
        'or not. It may be repeated, come early or belong to no update: it counts only for an update at Downloaded or ' +
        'later, in the boot of EVerest it came in. It does not come at all if the status before said that connectors ' +
        'stay in use.',
    ),
  },
  upload_logs: {
    ...REQUEST,
    payload: schema.UploadLogsRequest,
    reply: {
      schema: schema.UploadLogsResponse,
      fallback: { upload_logs_status: 'Rejected' },
      text: message(
        'Reply to upload_logs',
        'The verdict. `file_name` is there when the request was accepted, absent (never null) when not.',
        example('The upload will start', {
          upload_logs_status: 'Accepted',
          file_name: 'cp7-DiagnosticsLog-20260301T100000Z-4f1c2a9b.tar.gz',
        }),
        example('Refused', { upload_logs_status: 'Rejected' }),
      ),
    },
    description: 'Collect the logs and store them.',
    text: message(
      'Upload the logs',
      'Collects the logs of the station and stores them at the location. `request_id` and `type` are absent for the ' +
        'GetDiagnostics of OCPP 1.6; statuses carry -1 then.',
      asked('A security log', {
        location: 'https://logs.example.com/upload/',
        request_id: 42,
        type: 'SecurityLog',
        oldest_timestamp: '2026-02-01T00:00:00.000Z',
      }),
      asked('The GetDiagnostics of OCPP 1.6', { location: 'ftp://files.example.com/logs/' }),
    ),
  },
  is_reset_allowed: {
    ...REQUEST,
    payload: schema.ResetType,
    reply: {
      schema: schema.ResetAllowed,
      fallback: false,
      text: message(
        'Reply to is_reset_allowed',
        'A JSON boolean; EVerest cannot read another type.',
        example('A reset may follow', true),
      ),
    },
    description: 'May the station be reset? true keeps installs away until the reset.',
    text: message(
      'Ask whether a reset is allowed',
      'Comes before a reset. The payload is the bare string. true keeps installs away until the reset.',
      asked('A soft reset', 'Soft'),
    ),
  },
  reset: {
    ...EVENT,
    payload: schema.ResetRequest,
    description: 'Reset the station now.',
    text: message(
      'Reset the station',
      'Resets the station now; nobody waits for a reply. The payload is bare, without headers. `type` is always ' +
        'there on the wire though the specification does not require it: a request without a known type is refused. ' +
        'OCPP 2.x always says NotSpecified. One that arrives during an install is kept and done right after it; repeats ' +
        'of an open one are the same reset.',
      example('A soft reset', { scheduled: false, type: 'Soft' }),
    ),
  },
  set_system_time: {
    ...REQUEST,
    payload: schema.SystemTime,
    reply: {
      schema: schema.SystemTimeSet,
      fallback: false,
      text: message(
        'Reply to set_system_time',
        'A JSON boolean. false: not a time a CSMS would tell. The OCPP modules ignore it.',
        example('The time was taken', true),
      ),
    },
    description: 'The time the CSMS tells.',
    text: message(
      'Set the system time',
      'The time the CSMS tells, as a bare string. Comes with each BootNotification and Heartbeat of OCPP 1.6, in 2.x ' +
        'only if TimeSource says so. A small difference changes nothing.',
      asked('A time', '2026-03-01T10:00:00.123Z'),
    ),
  },
  get_boot_reason: {
    ...REQUEST,
    payload: schema.AnyPayload,
    payloadOptional: true,
    reply: {
      schema: schema.BootReason,
      fallback: 'Unknown',
      text: message(
        'Reply to get_boot_reason',
        'Every question in one boot gets the same reason.',
        example('After an update', 'FirmwareUpdate'),
      ),
    },
    description: 'Why did the station start? Asked before it connects to its CSMS.',
    text: message(
      'Ask for the boot reason',
      'Asked once per start of EVerest, before it connects to its CSMS and often before the first heartbeat. There is ' +
        'no `payload` member: the message is the headers alone.',
      asked('The whole message'),
    ),
  },
  configure_network: {
    ...REQUEST,
    payload: schema.ConfigureNetworkRequest,
    reply: {
      schema: schema.ConfigureNetworkResponse,
      fallback: { status: 'NotSupported' },
      text: message(
        'Reply to configure_network',
        'Processing at once, the end by configure_network_status; NotSupported where the station has no interfaces ' +
          'configured, which lets EVerest connect as it would without asking.',
        example('Work has begun', { status: 'Processing' }),
        example('Not for us', { status: 'NotSupported' }),
      ),
    },
    description: 'Prepare a network interface before a connection to the CSMS.',
    text: message(
      'Prepare a network interface',
      'Comes before every connection to a CSMS, which waits for the reply. Sent by the module for OCPP 1.6 and 2.x in ' +
        'one (OCPPmulti) only. Passwords, PIN and keys in it are secrets.',
      asked('A mobile connection', { interface: 'Wireless0', request_id: 5, apn: { apn: 'internet' } }),
    ),
  },
  heartbeat: {
    ...EVENT,
    qos: 0,
    payload: schema.HeartBeatId,
    description: 'Counts from 0 in each boot; the first one means the station listens.',
    text: message(
      'Heartbeat',
      'A bare decimal number: 0 in each start of EVerest, then one more each time. A number not larger than the last ' +
        'one means that EVerest has started anew. After the first one EVerest hears statuses.',
      example('The 43rd of this boot', 42),
    ),
  },
  firmware_update_status: {
    ...STATUS,
    payload: schema.FirmwareUpdateStatus,
    description: 'Where a firmware update stands.',
    text: message(
      'Status of a firmware update',
      'In the order OCPP wants, each at least once, one final status per request; a repeat comes directly after ' +
        'itself. A failed try that is followed by another is not told. For id -1 at a station of OCPP 1.6 or of a ' +
        'version not known, what the plain UpdateFirmware cannot express is not sent (DownloadScheduled, ' +
        'DownloadPaused, SignatureVerified, InstallScheduled, InstallRebooting) or becomes InstallationFailed ' +
        '(InvalidSignature, InstallVerificationFailed). The metadata count only with the status that asks for ' +
        'permission: SignatureVerified of a signed update, Downloaded of another.',
      example('A status', { firmware_update_status: 'Downloading', request_id: 17 }),
      example('Connectors stay in use during the install', {
        firmware_update_status: 'SignatureVerified',
        request_id: 17,
        firmware_update_metadata: { disable_connectors_during_install: false },
      }),
    ),
  },
  log_status: {
    ...STATUS,
    payload: schema.LogStatus,
    description: 'Where a log upload stands.',
    text: message(
      'Status of a log upload',
      'One final status per request. EVerest stops when its OCPP 1.6 module is told a status that OCPP 1.6 does not ' +
        'have. So AcceptedCanceled goes only to stations of OCPP 2.x and never for id -1; it is UploadFailure ' +
        'otherwise. For id -1 BadMessage, NotSupportedOperation and PermissionDenied are UploadFailure as well.',
      example('The archive is stored', { log_status: 'Uploaded', request_id: 42 }),
    ),
  },
  configure_network_status: {
    ...STATUS,
    payload: schema.ConfigureNetworkStatus,
    description: 'How a network request that was answered with Processing ended.',
    text: message(
      'Status of a network request',
      'How a request that was answered with Processing ended.',
      example('Ready to connect', { request_id: 5, status: 'Ready', interface_address: 'wwan0' }),
    ),
  },
  communication_check: {
    ...STATUS,
    qos: 0,
    payload: schema.CommunicationCheck,
    description: 'We are here and able to serve.',
    text: message(
      'Communication check',
      'The bare value `true`, at a third of the period the station tolerates, from its first heartbeat on and only ' +
        'while Khumbu can serve. The specification knows false as well: it ends the supervision for the rest of the ' +
        'boot, and a later true does not begin it again. Khumbu never sends it.',
      example('We are here', true),
    ),
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

/** Whether a station waits for an answer on it. */
export const isRequest = (name: ChannelName): name is RequestChannelName => channel(name).reply !== undefined;

/** The value EVerest assumes for a request without a reply in time; `undefined` for a channel that has no reply. */
export const fallbackReply = (name: ChannelName): unknown => channel(name).reply?.fallback;
