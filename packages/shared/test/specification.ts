/** EVerest's specification of `system_API` by hand, for comparison with our table and with what is made of it. */

/** Its channels: direction, frame, QoS of ours, what EVerest assumes without a reply. */
export const SPECIFICATION = {
  update_firmware: ['e2m', 'envelope', 1, 'Rejected'],
  allow_firmware_installation: ['e2m', 'any', 1, undefined],
  upload_logs: ['e2m', 'envelope', 1, { upload_logs_status: 'Rejected' }],
  is_reset_allowed: ['e2m', 'envelope', 1, false],
  reset: ['e2m', 'bare', 1, undefined],
  set_system_time: ['e2m', 'envelope', 1, false],
  get_boot_reason: ['e2m', 'envelope', 1, 'Unknown'],
  configure_network: ['e2m', 'envelope', 1, { status: 'NotSupported' }],
  heartbeat: ['e2m', 'bare', 0, undefined],
  firmware_update_status: ['m2e', 'bare', 1, undefined],
  log_status: ['m2e', 'bare', 1, undefined],
  configure_network_status: ['m2e', 'bare', 1, undefined],
  communication_check: ['m2e', 'bare', 0, undefined],
} as const;

type Entry = readonly [name: string, row: (typeof SPECIFICATION)[keyof typeof SPECIFICATION]];
const CHANNELS: readonly Entry[] = Object.entries(SPECIFICATION);
export const ANSWERED = CHANNELS.flatMap(([name, [, frame]]) => (frame === 'envelope' ? [name] : []));

type Named = readonly [address: string | null, action: string, server: string, reply?: string];
/** What AsyncAPI makes of them: address, action, server, the reply's channel. Operations and messages are named alike. */
export const SPECIFIED: Record<string, Named> = {
  ...Object.fromEntries(
    CHANNELS.flatMap(([name, [direction, frame]]): [string, Named][] => {
      const address = `${direction}/${name}`;
      if (frame === 'envelope')
        return [
          [`receive_request_${name}`, [address, 'receive', 'default', `send_reply_${name}`]],
          [`send_reply_${name}`, [null, 'send', 'default']],
        ];
      return direction === 'e2m'
        ? [[`receive_${name}`, [address, 'receive', 'default']]]
        : [[`send_${name}`, [address, 'send', 'default']]];
    }),
  ),
  send_request_query_module: ['query-modules/{api_type}', 'send', 'entrypoint', 'receive_reply_query_module'],
  receive_reply_query_module: [null, 'receive', 'entrypoint'],
  // Named `send_` there although the station sends it and we receive it.
  send_ready_beacon: ['ready_beacon', 'receive', 'entrypoint'],
};

export const ENUMS: Record<string, readonly string[]> = {
  BootReason: [
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
  FirmwareUpdateStatusEnum: [
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
  LogStatusEnum: [
    'AcceptedCanceled',
    'BadMessage',
    'Idle',
    'NotSupportedOperation',
    'PermissionDenied',
    'Uploaded',
    'UploadFailure',
    'Uploading',
  ],
  ResetType: ['Soft', 'Hard', 'NotSpecified'],
  UpdateFirmwareResponse: ['Accepted', 'Rejected', 'AcceptedCanceled', 'InvalidCertificate', 'RevokedCertificate'],
  UploadLogsStatus: ['Accepted', 'Rejected', 'AcceptedCanceled'],
  InterfaceClassEnum: [
    'Wired0',
    'Wired1',
    'Wired2',
    'Wired3',
    'Wireless0',
    'Wireless1',
    'Wireless2',
    'Wireless3',
    'Any',
  ],
  APNAuthenticationEnum: ['CHAP', 'NONE', 'PAP', 'AUTO'],
  VPNTypeEnum: ['IKEv2', 'IPSec', 'L2TP', 'PPTP', 'Other'],
  ConfigureNetworkStatusEnum: ['Ready', 'Processing', 'Failed', 'Rejected', 'NotSupported'],
  ConfigureNetworkFinalStatusEnum: ['Ready', 'Failed'],
};

export const SCALARS: Record<string, string> = {
  ResetAllowed: 'boolean',
  SystemTime: 'string date-time',
  SystemTimeSet: 'boolean',
  HeartBeatId: 'integer',
  CommunicationCheck: 'boolean',
};

/** Members with `!` are required. */
export const OBJECTS: Record<string, { readonly additional?: boolean; readonly members: Record<string, string> }> = {
  FirmwareUpdateRequest: {
    additional: true,
    members: {
      'location!': 'string',
      'request_id!': 'integer',
      retries: 'integer from 1',
      retry_interval_s: 'integer',
      retrieve_timestamp: 'string date-time',
      install_timestamp: 'string date-time',
      signing_certificate: 'string',
      signature: 'string',
    },
  },
  FirmwareUpdateStatus: {
    additional: true,
    members: {
      'firmware_update_status!': 'FirmwareUpdateStatusEnum',
      'request_id!': 'integer',
      firmware_update_metadata: 'FirmwareUpdateMetadata',
    },
  },
  FirmwareUpdateMetadata: { members: { disable_connectors_during_install: 'boolean' } },
  UploadLogsRequest: {
    additional: true,
    members: {
      'location!': 'string',
      retries: 'integer from 1',
      retry_interval_s: 'integer',
      oldest_timestamp: 'string date-time',
      latest_timestamp: 'string date-time',
      type: 'string',
      request_id: 'integer',
    },
  },
  UploadLogsResponse: { additional: true, members: { 'upload_logs_status!': 'UploadLogsStatus', file_name: 'string' } },
  LogStatus: { additional: true, members: { 'log_status!': 'LogStatusEnum', 'request_id!': 'integer' } },
  ResetRequest: { additional: true, members: { type: 'ResetType', scheduled: 'boolean' } },
  APN: {
    additional: false,
    members: {
      'apn!': 'string',
      apn_user_name: 'string',
      apn_password: 'string',
      sim_pin: 'string',
      preferred_network: 'string',
      use_only_preferred_network: 'boolean',
      apn_authentication: 'APNAuthenticationEnum',
    },
  },
  VPN: {
    additional: false,
    members: {
      'server!': 'string',
      'type!': 'VPNTypeEnum',
      user: 'string',
      group: 'string',
      password: 'string',
      key: 'string',
    },
  },
  ConfigureNetworkRequest: {
    additional: false,
    members: {
      'request_id!': 'integer',
      'interface!': 'InterfaceClassEnum',
      interface_name: 'string',
      apn: 'APN',
      vpn: 'VPN',
    },
  },
  ConfigureNetworkResponse: {
    additional: false,
    members: { 'status!': 'ConfigureNetworkStatusEnum', interface_address: 'string' },
  },
  ConfigureNetworkStatus: {
    additional: false,
    members: { 'request_id!': 'integer', 'status!': 'ConfigureNetworkFinalStatusEnum', interface_address: 'string' },
  },
  ApiDiscoverResponse: { additional: true, members: { 'apis!': 'ApiParameter[]' } },
  ApiParameter: {
    additional: true,
    members: {
      'type!': 'string',
      'module_id!': 'string',
      'version!': 'integer',
      communication_monitoring: 'CommunicationParameters',
    },
  },
  CommunicationParameters: {
    additional: true,
    members: {
      heartbeat_period_ms: 'integer',
      communication_check_period_s: 'integer',
      request_reply_timeout_s: 'integer',
    },
  },
  ReadyBeacon: { additional: true, members: {} },
};

/** Payloads by schema name; the frame of a request in brackets. */
export const PAYLOADS: Record<string, string | undefined> = {
  receive_request_update_firmware: '[FirmwareUpdateRequest]',
  send_reply_update_firmware: 'UpdateFirmwareResponse',
  receive_request_upload_logs: '[UploadLogsRequest]',
  send_reply_upload_logs: 'UploadLogsResponse',
  receive_request_is_reset_allowed: '[ResetType]',
  send_reply_is_reset_allowed: 'ResetAllowed',
  receive_request_set_system_time: '[SystemTime]',
  send_reply_set_system_time: 'SystemTimeSet',
  receive_request_get_boot_reason: '[]',
  send_reply_get_boot_reason: 'BootReason',
  receive_request_configure_network: '[ConfigureNetworkRequest]',
  send_reply_configure_network: 'ConfigureNetworkResponse',
  receive_allow_firmware_installation: undefined,
  receive_reset: 'ResetRequest',
  receive_heartbeat: 'HeartBeatId',
  send_firmware_update_status: 'FirmwareUpdateStatus',
  send_log_status: 'LogStatus',
  send_configure_network_status: 'ConfigureNetworkStatus',
  send_communication_check: 'CommunicationCheck',
  send_request_query_module: '[]',
  receive_reply_query_module: 'ApiDiscoverResponse',
  send_ready_beacon: 'ReadyBeacon',
};
