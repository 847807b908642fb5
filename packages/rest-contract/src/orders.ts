/** Bodies of requests: EVerest's requests without the id, which REST chooses itself. */
import {
  ConfigureNetworkRequest,
  FirmwareUpdateRequest,
  ResetRequest,
  SystemTime,
  UploadLogsRequest,
} from '@khumbu/shared/contract/schemas';
import { Type } from 'typebox';
import { SHA256 } from './artifacts.js';
import { closed, optionalText } from './members.js';

const replace = Type.Optional(
  Type.Boolean({ description: 'true: end what EVerest asked for and is under way, instead of being refused.' }),
);
const title = optionalText('What it is called, for people, and to find it by.', { minLength: 1, maxLength: 200 });
const { location: imageLocation, ...updateOptions } = Type.Omit(FirmwareUpdateRequest, ['request_id']).properties;
export const FirmwareUpdateOrderSchema = Type.Object(
  {
    location: Type.Optional(imageLocation),
    artifact: optionalText('SHA-256 of an image that the depot holds, lower-case hex: in place of a location.', {
      pattern: SHA256,
    }),
    ...updateOptions,
    replace,
    title,
    allowInstallation: Type.Optional(
      Type.Boolean({
        description:
          'true: as if `allow-installation` followed as soon as the image is ready. A car that charges then is cut off. Void when EVerest restarts after it was told of the image.',
      }),
    ),
  },
  {
    ...closed,
    $id: 'FirmwareUpdateOrder',
    anyOf: [{ required: ['location'] }, { required: ['artifact'] }],
    description: 'FirmwareUpdateRequest without request_id; with location or artifact.',
    examples: [{ location: 'https://files.example/charger-2.1.raucb', retries: 3, retry_interval_s: 60 }],
  },
);
const { location: logLocation, ...logOptions } = Type.Omit(UploadLogsRequest, ['request_id']).properties;
export const LogUploadOrderSchema = Type.Object(
  { location: Type.Optional(logLocation), ...logOptions, replace, title },
  {
    ...closed,
    $id: 'LogUploadOrder',
    description: 'UploadLogsRequest without request_id; without location the archive goes to the depot’s object store.',
    examples: [{ type: 'DiagnosticsLog', oldest_timestamp: '2026-11-21T00:00:00Z' }],
  },
);
export const ResetOrderSchema = Type.Object(
  { ...ResetRequest.properties, replace, title },
  { ...closed, $id: 'ResetOrder', description: 'ResetRequest.', examples: [{ type: 'Soft' }] },
);
export const SystemTimeOrderSchema = Type.Object(
  { time: SystemTime },
  {
    ...closed,
    $id: 'SystemTimeOrder',
    description: 'The time the station’s clock is set to, unless it differs only a little.',
    examples: [{ time: '2026-11-22T09:30:00Z' }],
  },
);
export const NetworkOrderSchema = Type.Object(
  { ...Type.Omit(ConfigureNetworkRequest, ['request_id']).properties, replace, title },
  {
    ...closed,
    $id: 'NetworkOrder',
    description: 'ConfigureNetworkRequest without request_id.',
    examples: [{ interface: 'Wired0' }],
  },
);
