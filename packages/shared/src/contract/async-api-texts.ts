/**
 * The words of the AsyncAPI document: what each message means to Khumbu, and where the wire or our tolerance differs
 * from EVerest's specification. Names and structure come from the channel table and the schemas; nothing here is read
 * at run time by anything else.
 */
import type { ChannelName, RequestChannelName } from './channels.js';
import { DISCOVERY } from './topics.js';

export interface MessageText {
  readonly title: string;
  readonly description: string;
  /** Payloads of the MQTT message as they are on the wire. */
  readonly examples: readonly { readonly summary: string; readonly payload: unknown }[];
}

const message = (title: string, description: string, ...examples: MessageText['examples']): MessageText => {
  return { title, description, examples };
};
const replyTo = 'everest_api/1/system/system_1/m2e/reply/3f2c9a54-7d0e-4d55-9f37-1f6a1d0f7b21';
const asked = (summary: string, payload: unknown) => ({ summary, payload: { headers: { replyTo }, payload } });
const example = (summary: string, payload: unknown) => ({ summary, payload });

export const INFO = `The interface between EVerest's \`system_API\` and Khumbu, seen from Khumbu: it receives what a \
station sends and sends what a station hears. Channels, addresses, operations, messages, schemas, enumerations and \
required members are named as in EVerest's own specification. Where EVerest behaves otherwise on the wire, or Khumbu \
takes more or less than the specification promises, the descriptions say so.

- **Frame.** A request that is answered is the JSON object \`{"headers":{"replyTo":"..."},"payload":...}\`, all of it \
in the MQTT payload; MQTT's own response topic is not used. Everything else is the bare JSON value: replies, statuses, \
\`reset\`, \`heartbeat\`, \`communication_check\`.
- **Reply topics.** \`replyTo\` comes without EVerest's \`mqtt_external_prefix\`; Khumbu puts the prefix in front of \
it. Only topics below the station's own \`everest_api/1/system/{module_id}/m2e/reply/\` are answered; a request that \
names another one is refused and nothing is done. A request without \`replyTo\` is served and not answered.
- **Replies.** One valid reply counts. EVerest drops one it cannot read and waits on until its timeout, then assumes \
the default that each request names. Khumbu answers a request it cannot read, or whose decision it cannot store, with \
that default and does nothing.
- **Quality of service.** EVerest publishes with QoS 2 and subscribes with QoS 0, whatever is published; nothing is \
retained. The bindings of the operations are Khumbu's side. What is sent while EVerest restarts is lost, so Khumbu \
holds statuses until the first heartbeat. EVerest speaks MQTT 5.
- **Integers.** The specification says integer. In EVerest ids, tries and seconds are signed 32 bit numbers, and an id \
outside would wrap there without notice; Khumbu refuses such a request.
- **Unknown members** of what a station sends are tolerated everywhere, also where \`additionalProperties\` is false. \
A member that EVerest does not set is absent, never null.`;

export const MESSAGES: Readonly<Record<ChannelName, MessageText>> = {
  update_firmware: message(
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
  allow_firmware_installation: message(
    'Allow the installation',
    'All connectors are out of use: the update that waits may be installed. The specification shows no payload. On ' +
      'the wire it is the four bytes `true` today and may be empty in another EVerest; Khumbu takes any content, JSON ' +
      'or not. It may be repeated, come early or belong to no update: it counts only for an update at Downloaded or ' +
      'later, in the boot of EVerest it came in. It does not come at all if the status before said that connectors ' +
      'stay in use.',
  ),
  upload_logs: message(
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
  is_reset_allowed: message(
    'Ask whether a reset is allowed',
    'Comes before a reset. The payload is the bare string. true keeps installs away until the reset.',
    asked('A soft reset', 'Soft'),
  ),
  reset: message(
    'Reset the station',
    'Resets the station now; nobody waits for a reply. The payload is bare, without headers. `type` is always ' +
      'there on the wire though the specification does not require it: a request without a known type is refused. ' +
      'OCPP 2.x always says NotSpecified. One that arrives during an install is kept and done right after it; repeats ' +
      'of an open one are the same reset.',
    example('A soft reset', { scheduled: false, type: 'Soft' }),
  ),
  set_system_time: message(
    'Set the system time',
    'The time the CSMS tells, as a bare string. Comes with each BootNotification and Heartbeat of OCPP 1.6, in 2.x ' +
      'only if TimeSource says so. A small difference changes nothing.',
    asked('A time', '2026-03-01T10:00:00.123Z'),
  ),
  get_boot_reason: message(
    'Ask for the boot reason',
    'Asked once per start of EVerest, before it connects to its CSMS and often before the first heartbeat. There is ' +
      'no `payload` member: the message is the headers alone.',
    example('The whole message', { headers: { replyTo } }),
  ),
  configure_network: message(
    'Prepare a network interface',
    'Comes before every connection to a CSMS, which waits for the reply. Sent by the module for OCPP 1.6 and 2.x in ' +
      'one (OCPPmulti) only. Passwords, PIN and keys in it are secrets.',
    asked('A mobile connection', { interface: 'Wireless0', request_id: 5, apn: { apn: 'internet' } }),
  ),
  heartbeat: message(
    'Heartbeat',
    'A bare decimal number: 0 in each start of EVerest, then one more each time. A number not larger than the last ' +
      'one means that EVerest has started anew. After the first one EVerest hears statuses.',
    example('The 43rd of this boot', 42),
  ),
  firmware_update_status: message(
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
  log_status: message(
    'Status of a log upload',
    'One final status per request. EVerest stops when its OCPP 1.6 module is told a status that OCPP 1.6 does not ' +
      'have. So AcceptedCanceled goes only to stations of OCPP 2.x and never for id -1; it is UploadFailure ' +
      'otherwise. For id -1 BadMessage, NotSupportedOperation and PermissionDenied are UploadFailure as well.',
    example('The archive is stored', { log_status: 'Uploaded', request_id: 42 }),
  ),
  configure_network_status: message(
    'Status of a network request',
    'How a request that was answered with Processing ended.',
    example('Ready to connect', { request_id: 5, status: 'Ready', interface_address: 'wwan0' }),
  ),
  communication_check: message(
    'Communication check',
    'The bare value `true`, at a third of the period the station tolerates, from its first heartbeat on and only ' +
      'while Khumbu can serve. The specification knows false as well: it ends the supervision for the rest of the ' +
      'boot, and a later true does not begin it again. Khumbu never sends it.',
    example('We are here', true),
  ),
};

export const REPLIES: Readonly<Record<RequestChannelName, MessageText>> = {
  update_firmware: message(
    'Reply to update_firmware',
    'The verdict; the work follows and is told by firmware_update_status.',
    example('The update will start', 'Accepted'),
  ),
  upload_logs: message(
    'Reply to upload_logs',
    'The verdict. `file_name` is there when the request was accepted, absent (never null) when not.',
    example('The upload will start', {
      upload_logs_status: 'Accepted',
      file_name: 'cp7-DiagnosticsLog-20260301T100000Z-4f1c2a9b.tar.gz',
    }),
    example('Refused', { upload_logs_status: 'Rejected' }),
  ),
  is_reset_allowed: message(
    'Reply to is_reset_allowed',
    'A JSON boolean; EVerest cannot read another type.',
    example('A reset may follow', true),
  ),
  set_system_time: message(
    'Reply to set_system_time',
    'A JSON boolean. false: not a time a CSMS would tell. The OCPP modules ignore it.',
    example('The time was taken', true),
  ),
  get_boot_reason: message(
    'Reply to get_boot_reason',
    'Every question in one boot gets the same reason.',
    example('After an update', 'FirmwareUpdate'),
  ),
  configure_network: message(
    'Reply to configure_network',
    'Processing at once, the end by configure_network_status; NotSupported where the station has no interfaces ' +
      'configured, which lets EVerest connect as it would without asking.',
    example('Work has begun', { status: 'Processing' }),
    example('Not for us', { status: 'NotSupported' }),
  ),
};

export const DISCOVERY_MESSAGES: Readonly<Record<'question' | 'answer' | 'beacon', MessageText>> = {
  question: message(
    'Ask for the modules of one kind',
    'Sent when Khumbu connects, at each ready beacon and for a module it does not know. `replyTo` goes out without ' +
      'prefix; EVerest puts its own in front of it and does not answer a question without one.',
    example('Where to answer', { headers: { replyTo: DISCOVERY.answerTopic('7d0e4d55') } }),
  ),
  answer: message(
    'One module answers',
    'Each module answers on its own, in as many messages as there are modules of the kind.',
    example('A system module', {
      apis: [
        {
          type: 'system',
          module_id: 'system_1',
          version: 1,
          communication_monitoring: {
            heartbeat_period_ms: 1000,
            communication_check_period_s: 5,
            request_reply_timeout_s: 30,
          },
        },
      ],
    }),
  ),
  beacon: message(
    'A station has started',
    'Sent by EVerest, received by Khumbu; the name is that of the specification, which calls the operation send. ' +
      'Once per start, while other modules may not be ready yet: a hint to ask anew.',
    example('The whole message', {}),
  ),
};
