/**
 * The message schemas of EVerest's `system_API`, spelled as on the wire. Objects are open: members we do not know
 * pass untouched, because a newer EVerest may add some; what we act on is strict.
 */
import { type Static, Type } from 'typebox';

/** EVerest carries ids as C++ `int`; anything outside would wrap silently there, so it is refused here. */
const Int32 = (description: string) => Type.Integer({ minimum: -2147483648, maximum: 2147483647, description });
const Count = (description: string) => Type.Integer({ minimum: 0, maximum: 2147483647, description });
const named = ($id: string, description: string) => ({ $id, description });
const Timestamp = (description: string) => Type.String({ format: 'date-time', description });
const Text = (description: string) => Type.String({ description });

export const FirmwareUpdateStatusEnum = Type.Enum(
  [
    'Downloaded',
    'DownloadFailed',
    'Downloading',
    'DownloadScheduled',
    'DownloadPaused',
    'Idle',
    'InstallationFailed',
    'Installing',
    'Installed',
    'InstallRebooting',
    'InstallScheduled',
    'InstallVerificationFailed',
    'InvalidSignature',
    'SignatureVerified',
  ],
  { $id: 'FirmwareUpdateStatusEnum', description: 'Where a firmware update stands.' },
);
export type FirmwareUpdateStatusEnum = Static<typeof FirmwareUpdateStatusEnum>;

export const LogStatusEnum = Type.Enum(
  [
    'AcceptedCanceled',
    'BadMessage',
    'Idle',
    'NotSupportedOperation',
    'PermissionDenied',
    'Uploaded',
    'UploadFailure',
    'Uploading',
  ],
  { $id: 'LogStatusEnum', description: 'Where a log upload stands.' },
);
export type LogStatusEnum = Static<typeof LogStatusEnum>;

export const UpdateFirmwareResponse = Type.Enum(
  ['Accepted', 'Rejected', 'AcceptedCanceled', 'InvalidCertificate', 'RevokedCertificate'],
  { $id: 'UpdateFirmwareResponse', description: 'The immediate answer to update_firmware.' },
);
export type UpdateFirmwareResponse = Static<typeof UpdateFirmwareResponse>;

export const UploadLogsStatus = Type.Enum(
  ['Accepted', 'Rejected', 'AcceptedCanceled'],
  named('UploadLogsStatus', 'The immediate verdict on upload_logs.'),
);
export type UploadLogsStatus = Static<typeof UploadLogsStatus>;

export const ResetType = Type.Enum(
  ['Soft', 'Hard', 'NotSpecified'],
  named('ResetType', 'Soft restarts EVerest; Hard and NotSpecified reboot the station.'),
);
export type ResetType = Static<typeof ResetType>;

export const BootReason = Type.Enum(
  [
    'ApplicationReset',
    'FirmwareUpdate',
    'LocalReset',
    'PowerUp',
    'RemoteReset',
    'ScheduledReset',
    'Triggered',
    'Unknown',
    'Watchdog',
  ],
  { $id: 'BootReason', description: 'Why the station started.' },
);
export type BootReason = Static<typeof BootReason>;

export const FirmwareUpdateRequest = Type.Object(
  {
    request_id: Int32('Id of the request; -1 for the plain UpdateFirmware of OCPP 1.6.'),
    location: Type.String({ minLength: 1, description: 'Where to fetch the image.' }),
    retries: Type.Optional(Count('Tries in all, the first included.')),
    retry_interval_s: Type.Optional(Count('Pause between tries, in seconds.')),
    retrieve_timestamp: Type.Optional(
      Timestamp('Not to be fetched before. Before 2000: at once; after 2100: counts as 2100-01-01.'),
    ),
    install_timestamp: Type.Optional(
      Timestamp('Not to be installed before. Before 2000: at once; after 2100: counts as 2100-01-01.'),
    ),
    signing_certificate: Type.Optional(Text('PEM, the leaf first; intermediates may follow.')),
    signature: Type.Optional(Text('Base64 over the whole image.')),
  },
  { $id: 'FirmwareUpdateRequest', description: 'Asks for a firmware update.' },
);
export type FirmwareUpdateRequest = Static<typeof FirmwareUpdateRequest>;

export const FirmwareUpdateMetadata = Type.Object(
  {
    disable_connectors_during_install: Type.Optional(
      Type.Boolean({
        description: 'false keeps connectors usable during the install; no permission is asked for then.',
      }),
    ),
  },
  { $id: 'FirmwareUpdateMetadata', description: 'What EVerest needs to know of the image.' },
);
export type FirmwareUpdateMetadata = Static<typeof FirmwareUpdateMetadata>;

export const FirmwareUpdateStatus = Type.Object(
  {
    firmware_update_status: FirmwareUpdateStatusEnum,
    request_id: Int32('Id of the request this status belongs to.'),
    firmware_update_metadata: Type.Optional(FirmwareUpdateMetadata),
  },
  { $id: 'FirmwareUpdateStatus', description: 'A status of a firmware update.' },
);
export type FirmwareUpdateStatus = Static<typeof FirmwareUpdateStatus>;

export const UploadLogsRequest = Type.Object(
  {
    location: Type.String({ minLength: 1, description: 'Where to store the archive.' }),
    retries: Type.Optional(Count('Tries in all, the first included.')),
    retry_interval_s: Type.Optional(Count('Pause between tries, in seconds.')),
    oldest_timestamp: Type.Optional(
      Timestamp('Records before this are left out. Before 2000: no bound; after 2100: refused.'),
    ),
    latest_timestamp: Type.Optional(Timestamp('Records after this are left out. Before 2000 or after 2100: no bound.')),
    type: Type.Optional(Text('DiagnosticsLog or SecurityLog; absent means DiagnosticsLog.')),
    request_id: Type.Optional(Int32('Id of the request; absent for the GetDiagnostics of OCPP 1.6.')),
  },
  { $id: 'UploadLogsRequest', description: 'Asks for the logs of the station.' },
);
export type UploadLogsRequest = Static<typeof UploadLogsRequest>;

export const UploadLogsResponse = Type.Object(
  {
    upload_logs_status: UploadLogsStatus,
    file_name: Type.Optional(Text('Name of the archive; only when accepted, never null.')),
  },
  { $id: 'UploadLogsResponse', description: 'The immediate answer to upload_logs.' },
);
export type UploadLogsResponse = Static<typeof UploadLogsResponse>;

export const LogStatus = Type.Object(
  { log_status: LogStatusEnum, request_id: Int32('Id of the request; -1 if it had none.') },
  { $id: 'LogStatus', description: 'A status of a log upload.' },
);
export type LogStatus = Static<typeof LogStatus>;

export const ResetRequest = Type.Object(
  {
    type: ResetType,
    scheduled: Type.Optional(Type.Boolean({ description: 'The reset was put off until transactions had ended.' })),
  },
  { $id: 'ResetRequest', description: 'Resets the station now. A request without a known type is refused.' },
);
export type ResetRequest = Static<typeof ResetRequest>;

export const ResetAllowed = Type.Boolean({ $id: 'ResetAllowed', description: 'true: a reset may follow.' });
export const SystemTime = Type.String({ format: 'date-time', $id: 'SystemTime', description: 'RFC 3339 time.' });
export const SystemTimeSet = Type.Boolean({ $id: 'SystemTimeSet', description: 'true: the time was accepted.' });

const InterfaceClassEnum = Type.Enum(
  ['Wired0', 'Wired1', 'Wired2', 'Wired3', 'Wireless0', 'Wireless1', 'Wireless2', 'Wireless3', 'Any'],
  { $id: 'InterfaceClassEnum', description: 'Class of network interface.' },
);
export type InterfaceClassEnum = Static<typeof InterfaceClassEnum>;

const APNAuthenticationEnum = Type.Enum(
  ['CHAP', 'NONE', 'PAP', 'AUTO'],
  named('APNAuthenticationEnum', 'How the modem authenticates.'),
);
const APN = Type.Object(
  {
    apn: Text('Access point name.'),
    apn_user_name: Type.Optional(Text('User name.')),
    apn_password: Type.Optional(Text('Password; a secret.')),
    sim_pin: Type.Optional(Text('PIN of the SIM; a secret.')),
    preferred_network: Type.Optional(Text('Network to prefer.')),
    use_only_preferred_network: Type.Optional(Type.Boolean({ description: 'Use no other network.' })),
    apn_authentication: Type.Optional(APNAuthenticationEnum),
  },
  { $id: 'APN', description: 'Access to a mobile network.' },
);

const VPNTypeEnum = Type.Enum(['IKEv2', 'IPSec', 'L2TP', 'PPTP', 'Other'], named('VPNTypeEnum', 'Kind of VPN.'));
const VPN = Type.Object(
  {
    server: Text('Address of the server.'),
    type: VPNTypeEnum,
    user: Type.Optional(Text('User name.')),
    group: Type.Optional(Text('Group.')),
    password: Type.Optional(Text('Password; a secret.')),
    key: Type.Optional(Text('Shared key; a secret.')),
  },
  { $id: 'VPN', description: 'A VPN to use on the interface.' },
);

export const ConfigureNetworkRequest = Type.Object(
  {
    request_id: Int32('Chosen by the caller, echoed in configure_network_status.'),
    interface: InterfaceClassEnum,
    interface_name: Type.Optional(Text('Concrete interface; wins over the class.')),
    apn: Type.Optional(APN),
    vpn: Type.Optional(VPN),
  },
  { $id: 'ConfigureNetworkRequest', description: 'Asks to prepare a network interface.' },
);
export type ConfigureNetworkRequest = Static<typeof ConfigureNetworkRequest>;

const ConfigureNetworkStatusEnum = Type.Enum(
  ['Ready', 'Processing', 'Failed', 'Rejected', 'NotSupported'],
  named('ConfigureNetworkStatusEnum', 'The immediate verdict on configure_network.'),
);
const ConfigureNetworkFinalStatusEnum = Type.Enum(
  ['Ready', 'Failed'],
  named('ConfigureNetworkFinalStatusEnum', 'How a request that was answered with Processing ended.'),
);
export const ConfigureNetworkResponse = Type.Object(
  {
    status: ConfigureNetworkStatusEnum,
    interface_address: Type.Optional(Text('Interface name or address to bind to, when Ready.')),
  },
  { $id: 'ConfigureNetworkResponse', description: 'The immediate answer to configure_network.' },
);
export type ConfigureNetworkResponse = Static<typeof ConfigureNetworkResponse>;

export const ConfigureNetworkStatus = Type.Object(
  {
    request_id: Int32('Echo of the request.'),
    status: ConfigureNetworkFinalStatusEnum,
    interface_address: Type.Optional(Text('Interface name or address to bind to, when Ready.')),
  },
  { $id: 'ConfigureNetworkStatus', description: 'How a network request ended.' },
);
export type ConfigureNetworkStatus = Static<typeof ConfigureNetworkStatus>;

/** A 64 bit counter in EVerest; beyond 2^53 the last digits are lost, which a comparison of neighbours survives. */
export const HeartBeatId = Type.Integer({
  minimum: 0,
  // EVerest counts in 64 bits without a sign.
  maximum: 2 ** 64,
  $id: 'HeartBeatId',
  description: 'Starts at 0 in each boot.',
});
export const CommunicationCheck = Type.Boolean(
  named(
    'CommunicationCheck',
    'true: we are here. false ends the supervision for the rest of the boot and is never sent by us.',
  ),
);

export const CommunicationParameters = Type.Object(
  {
    heartbeat_period_ms: Type.Optional(Type.Integer({ description: 'Period of heartbeats; 0 or less: none.' })),
    communication_check_period_s: Type.Optional(
      Type.Integer({ description: 'Longest silence of ours that EVerest tolerates; 0 or less: any.' }),
    ),
    request_reply_timeout_s: Type.Optional(Type.Integer({ description: 'How long EVerest waits for a reply.' })),
  },
  { $id: 'CommunicationParameters', description: 'How the module supervises us.' },
);
export type CommunicationParameters = Static<typeof CommunicationParameters>;

const ApiParameter = Type.Object(
  {
    type: Text('Kind of API, for instance "system".'),
    module_id: Text('Id of the module.'),
    version: Type.Integer({ description: 'Version of the API.' }),
    communication_monitoring: Type.Optional(CommunicationParameters),
  },
  { $id: 'ApiParameter', description: 'One API a module offers.' },
);
export type ApiParameter = Static<typeof ApiParameter>;
export const ApiDiscoverResponse = Type.Object(
  { apis: Type.Array(ApiParameter, { description: 'The APIs of the answering module.' }) },
  { $id: 'ApiDiscoverResponse', description: 'What one module answers to discovery.' },
);
export type ApiDiscoverResponse = Static<typeof ApiDiscoverResponse>;

export const ReadyBeacon = Type.Object({}, { $id: 'ReadyBeacon', description: 'A station has started.' });

export const BootNotificationResponse = Type.Object(
  { status: Text('Accepted, Pending or Rejected.') },
  { $id: 'BootNotificationResponse', description: 'What the CSMS said to the BootNotification.' },
);
export const ConnectionStatus = Type.Object(
  {
    connected: Type.Boolean({ description: 'The link to the CSMS is up.' }),
    ocpp_version: Type.Optional(Text('OCPP version of the connection.')),
  },
  { $id: 'ConnectionStatus', description: 'The state of the link to the CSMS.' },
);

export const OcppTransactionEvent = Type.Object(
  {
    transaction_event: Text('Started, Updated or Ended.'),
    session_id: Text('The id that the EVSE manager gave to the session.'),
  },
  { $id: 'OcppTransactionEvent', description: 'What has happened to a transaction.' },
);
export type OcppTransactionEvent = Static<typeof OcppTransactionEvent>;

/** Of `evse_security_consumer_API`; what else is in it (paths of files, the password of a key) is not read. */
export const LeafCertificateAnswer = Type.Object(
  { status: Text('Accepted, Rejected, NotFound, NotFoundValid or PrivateKeyNotFound.') },
  { $id: 'LeafCertificateAnswer', description: 'Whether the certificate store has a certificate of the kind.' },
);
export type LeafCertificateAnswer = Static<typeof LeafCertificateAnswer>;

/** `allow_firmware_installation`: today the bytes `true`, by its source an empty message; anything counts. */
export const AnyPayload = Type.Unknown({ $id: 'AnyPayload', description: 'Any content, none included.' });
