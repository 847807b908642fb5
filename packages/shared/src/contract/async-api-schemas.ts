/**
 * Our schemas as the published document shows them: each one with a `$id` once, by name. Where we check more or less
 * than EVerest's specification promises, the document keeps the promise and says what we do.
 */

export type JsonSchema = { readonly [key: string]: unknown };
export type NamedSchemas = Record<string, JsonSchema>;

interface Promised {
  readonly description?: string;
  readonly additionalProperties?: boolean;
  /** Members the specification does not require although we do. */
  readonly optional?: readonly string[];
  readonly members?: Readonly<Record<string, JsonSchema>>;
}

const open: Promised = { additionalProperties: true };
const closed = (description: string): Promised => ({ additionalProperties: false, description });
const ONE_TRY = 'The specification begins at 1; 0 is tolerated and means one try. Absent: as configured.';
const tries = { minimum: 1, description: `Tries in all, the first included. ${ONE_TRY}` };
const pause = { description: 'Pause between tries, in seconds. Absent: as configured; a negative one is refused.' };
const RECEIVED = 'Members not named here are tolerated all the same.';

const PROMISED: Readonly<Record<string, Promised>> = {
  FirmwareUpdateRequest: {
    ...open,
    members: {
      retries: tries,
      retry_interval_s: pause,
      location: { description: 'Where to fetch the image. An empty one is refused.' },
      retrieve_timestamp: { description: 'Not to be fetched before. OCPP sets it always, usually to now or the past.' },
      signing_certificate: {
        description: 'PEM, the leaf first; intermediates may follow. Line ends may be `\\n` text.',
      },
      signature: { description: 'Base64, line breaks allowed, over the whole image.' },
    },
  },
  FirmwareUpdateStatus: open,
  FirmwareUpdateMetadata: { members: { disable_connectors_during_install: { default: true } } },
  FirmwareUpdateStatusEnum: {
    description: `Where a firmware update stands. Khumbu never sends Idle or DownloadPaused.
- DownloadScheduled, Downloading, DownloadPaused, Downloaded: on the way to an image that was fetched whole
- SignatureVerified: the image is what its signature says
- InstallScheduled: waits for its time or for permission
- Installing, InstallRebooting: the station is being changed
- Installed: done, and proved after the reboot if there was one
- DownloadFailed, InvalidSignature, InstallVerificationFailed, InstallationFailed: ended without`,
  },
  UploadLogsRequest: {
    ...open,
    members: {
      retries: tries,
      retry_interval_s: pause,
      location: { description: 'Where to store the archive. An empty one is refused.' },
    },
  },
  UploadLogsResponse: open,
  LogStatus: open,
  LogStatusEnum: {
    description: `Where a log upload stands. Khumbu never sends Idle.
- Uploading: at work
- Uploaded: the archive is stored
- AcceptedCanceled: another request took its place; only told to stations of OCPP 2.x
- PermissionDenied, BadMessage, NotSupportedOperation: the destination refused, for this reason
- UploadFailure: ended without, for any other reason`,
  },
  UpdateFirmwareResponse: {
    description: `The immediate answer to update_firmware.
- Accepted: the work will start
- AcceptedCanceled: it takes the place of one that was not yet installing
- Rejected: one is installing, or the station or policy does not allow it
- InvalidCertificate, RevokedCertificate: from Khumbu's own check of the chain`,
  },
  UploadLogsStatus: {
    description: `The immediate verdict on upload_logs.
- Accepted: the work will start
- AcceptedCanceled: it takes the place of one under way
- Rejected: nothing will be done`,
  },
  ResetRequest: {
    ...open,
    optional: ['type'],
    description: 'Resets the station now. The specification does not require `type`; a request without it is refused.',
  },
  SystemTime: { description: 'RFC 3339 time, in UTC with a fraction of seconds where EVerest has one.' },
  HeartBeatId: {
    description:
      'A 64 bit unsigned number that starts at 0 in each boot. A receiver that counts in 53 bits may still compare.',
  },
  CommunicationCheck: {
    description:
      'true: Khumbu is here and can serve. false would end the supervision for the rest of the boot; never sent.',
  },
  APN: closed(`Access to a mobile network. ${RECEIVED}`),
  VPN: closed(`A VPN to use on the interface. ${RECEIVED}`),
  ConfigureNetworkRequest: closed(`Asks to prepare a network interface. ${RECEIVED}`),
  ConfigureNetworkStatusEnum: {
    description: `The immediate verdict on configure_network.
- Ready: usable now
- Processing: begun, the end follows as configure_network_status
- Failed, Rejected: EVerest skips this connection profile
- NotSupported: EVerest connects as it would without asking`,
  },
  ConfigureNetworkResponse: { additionalProperties: false },
  ConfigureNetworkStatus: { additionalProperties: false },
  ApiDiscoverResponse: open,
  ApiParameter: open,
  CommunicationParameters: open,
  ReadyBeacon: open,
};

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function asPromised(name: string, schema: JsonSchema): JsonSchema {
  const { optional = [], members = {}, ...over } = PROMISED[name] ?? {};
  const { required, properties, ...rest } = schema;
  const stillRequired = Array.isArray(required) ? required.filter((member) => !optional.includes(member)) : [];
  const merged: Record<string, unknown> = { ...(isObject(properties) ? properties : {}) };
  for (const [member, more] of Object.entries(members)) {
    const own = merged[member];
    if (!isObject(own)) throw new TypeError(`${name} has no member ${member}`);
    merged[member] = { ...own, ...more };
  }
  return {
    ...('enum' in rest ? { type: 'string' } : {}),
    ...rest,
    ...over,
    ...(stillRequired.length > 0 ? { required: stillRequired } : {}),
    ...(properties === undefined ? {} : { properties: merged }),
  };
}

function convert(value: unknown, named: NamedSchemas): unknown {
  if (Array.isArray(value)) return value.map((item) => convert(item, named));
  if (!isObject(value)) return value;
  const { $id, ...rest } = value;
  const plain = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, convert(inner, named)]));
  if (typeof $id !== 'string') return plain;
  named[$id] ??= asPromised($id, plain);
  return { $ref: `#/components/schemas/${$id}` };
}

/** A reference to `schema`, which is put into `named` with all named schemas below it. */
export const referTo = (schema: object, named: NamedSchemas): JsonSchema =>
  convert(JSON.parse(JSON.stringify(schema)), named) as JsonSchema;
