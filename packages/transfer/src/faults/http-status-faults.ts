/** What the statuses of answers mean (RFC 9110, 15). */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { again, type Fault, final, type RestOfFamily, type UploadStatus, upload } from './fault.js';

const WEB: readonly LocationScheme[] = ['http', 'https'];

type Status = number | RestOfFamily;
type Row = readonly [status: Status, fault: string, isRetried: boolean, put: UploadStatus | undefined, advice: string];

const OVERLOAD = 'Nothing, if it passes; a Retry-After is followed as far as `MAX_RETRY_AFTER_S`.';
const OF_SERVER = 'Look at the log of the server.';

/** `put`: undefined where an upload never gets it. An upload is tried again if it is `UploadFailure`. */
const ROWS: readonly Row[] = [
  [
    'http_2xx',
    'A success that is no file: 201, 202, 204 and the like.',
    false,
    undefined,
    'Use the location of the file itself.',
  ],
  [
    'http_3xx',
    'A redirect that is not followed: uploads follow none, downloads none without a Location.',
    false,
    'UploadFailure',
    'Use the location that it leads to.',
  ],
  [400, '400 Bad Request.', false, 'BadMessage', 'Look at the location, its query above all.'],
  [
    401,
    '401 Unauthorized.',
    false,
    'PermissionDenied',
    'Put user and password into the location; Basic and Digest are known.',
  ],
  [
    403,
    '403 Forbidden.',
    false,
    'PermissionDenied',
    'Let this user read or write there; a presigned URL may have expired.',
  ],
  [404, '404 Not Found.', false, 'UploadFailure', 'Put the file there, or correct the path of the location.'],
  [405, '405 Method Not Allowed.', false, 'NotSupportedOperation', 'Let the server take PUT there.'],
  [406, '406 Not Acceptable.', false, 'BadMessage', 'Let the server send the file as it is.'],
  [
    407,
    '407 Proxy Authentication Required, of a server and not of our proxy.',
    false,
    'PermissionDenied',
    'Look at the reverse proxy before the server.',
  ],
  [408, '408 Request Timeout.', true, 'UploadFailure', OVERLOAD],
  [409, '409 Conflict.', false, 'BadMessage', 'Make the folder at the server: WebDAV makes none by itself.'],
  [410, '410 Gone.', false, 'BadMessage', 'Use a location that is still there.'],
  [411, '411 Length Required.', false, 'BadMessage', OF_SERVER],
  [412, '412 Precondition Failed.', false, 'BadMessage', OF_SERVER],
  [
    413,
    '413 Content Too Large.',
    false,
    'BadMessage',
    'Raise the limit of the server, or ask for a shorter window of logs.',
  ],
  [415, '415 Unsupported Media Type.', false, 'BadMessage', 'Let the server take application/gzip.'],
  [416, '416 Range Not Satisfiable, to a request without a range.', false, 'BadMessage', OF_SERVER],
  [417, '417 Expectation Failed, to a request without Expect.', false, 'BadMessage', OF_SERVER],
  [421, '421 Misdirected Request.', false, 'BadMessage', 'Use the name that the server is known by.'],
  [423, '423 Locked.', false, 'BadMessage', 'Unlock the file at the server.'],
  [425, '425 Too Early.', true, 'UploadFailure', OVERLOAD],
  [429, '429 Too Many Requests.', true, 'UploadFailure', OVERLOAD],
  [451, '451 Unavailable For Legal Reasons.', false, 'BadMessage', 'Use another server.'],
  ['http_4xx', 'Any other refusal (4xx).', false, 'BadMessage', OF_SERVER],
  [500, '500 Internal Server Error.', true, 'UploadFailure', OF_SERVER],
  [501, '501 Not Implemented.', true, 'NotSupportedOperation', 'Use a server that takes PUT.'],
  [502, '502 Bad Gateway.', true, 'UploadFailure', 'Look at the server behind the reverse proxy.'],
  [503, '503 Service Unavailable.', true, 'UploadFailure', OVERLOAD],
  [
    504,
    '504 Gateway Timeout.',
    true,
    'UploadFailure',
    'Look at the server behind the reverse proxy, and at its time limits.',
  ],
  [505, '505 HTTP Version Not Supported.', true, 'NotSupportedOperation', 'Let the server speak HTTP/1.1.'],
  [507, '507 Insufficient Storage.', true, 'UploadFailure', 'Make room at the server.'],
  [
    511,
    '511 Network Authentication Required.',
    true,
    'UploadFailure',
    'Log the depot in at its network: a captive portal answers.',
  ],
  ['http_5xx', 'Any other error of the server (5xx).', true, 'UploadFailure', OF_SERVER],
];

export const HTTP_STATUS_FAULTS: readonly Fault[] = ROWS.map(([status, fault, isRetried, put, advice]) => {
  const reason = typeof status === 'number' ? (`http_${status}` as const) : status;
  return {
    schemes: WEB,
    fault,
    ...(isRetried ? again(reason) : final(reason)),
    ...(put === undefined ? {} : upload(put, reason)),
    advice,
  };
});
