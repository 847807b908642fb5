/** Faults of `http` and `https` but for the statuses of answers. */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { again, type Fault, final, upload } from './fault.js';

const WEB: readonly LocationScheme[] = ['http', 'https'];
const TLS: readonly LocationScheme[] = ['https'];

/** What breaks a connection is told of uploads by one word. */
const CONNECTION = upload('UploadFailure', 'connection');

const LOCATIONS: readonly Fault[] = [
  {
    schemes: WEB,
    fault: 'The location cannot be read, or its scheme is not known.',
    ...final('location_refused'),
    ...upload('BadMessage', 'location_unusable'),
    advice: 'Write the location as scheme://host/path, with what is special in it as %XX.',
  },
  {
    schemes: WEB,
    fault: 'The scheme is not in `ALLOWED_LOCATION_SCHEMES`.',
    ...final('location_refused'),
    ...upload('PermissionDenied', 'location_refused'),
    advice: 'Allow the scheme, or use a location of one that is allowed.',
  },
  {
    schemes: WEB,
    fault: 'The host is not in `ALLOWED_LOCATION_HOSTS`.',
    ...final('location_refused'),
    ...upload('PermissionDenied', 'location_refused'),
    advice: 'Add the host to the list, with its port if it is not the usual one.',
  },
  {
    schemes: WEB,
    fault:
      'The host is an address that no location may lead to: loopback, link-local, metadata, one of the depot itself.',
    ...final('location_refused'),
    ...upload('PermissionDenied', 'location_refused'),
    advice:
      'Use a server outside; an address that is needed all the same goes into `ALLOWED_LOCATION_HOSTS` by itself.',
  },
  {
    schemes: WEB,
    fault: 'The name of the host leads only to such addresses.',
    ...final('location_refused'),
    ...CONNECTION,
    advice: 'Correct the name in DNS; a name that is listed lends its right to no forbidden address.',
  },
];

const CONNECTIONS: readonly Fault[] = [
  {
    schemes: WEB,
    fault: 'The name of the host does not exist, or no name server answers.',
    ...again('dns'),
    ...CONNECTION,
    advice: 'Correct the host in the location, or the name servers of the depot.',
  },
  {
    schemes: WEB,
    fault: 'The port is closed.',
    ...again('connect'),
    ...CONNECTION,
    advice: 'Start the server, or correct the port in the location.',
  },
  {
    schemes: WEB,
    fault: 'There is no route to the host, or no packet comes back.',
    ...again('connect'),
    ...CONNECTION,
    advice: 'Look at routes and firewalls between the depot and the server.',
  },
  {
    schemes: TLS,
    fault: 'The certificate is of an authority that is not trusted, or of none.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Put the authority into `LOCATION_CA_FILE`; a server must send its intermediate certificates itself.',
  },
  {
    schemes: TLS,
    fault: 'The certificate has expired, or is not valid yet.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Renew the certificate; if it is good, set the clock of the depot right.',
  },
  {
    schemes: TLS,
    fault: 'The certificate is of another name.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Use the name that is in the certificate, or have one made for this name.',
  },
  {
    schemes: TLS,
    fault: 'The port speaks no TLS.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Use http:// or the port of https.',
  },
  {
    schemes: TLS,
    fault: 'No version of TLS, or no cipher, that both sides know.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Let the server speak TLS 1.2 or 1.3.',
  },
];

const ANSWERS: readonly Fault[] = [
  {
    schemes: WEB,
    fault: 'Nothing comes for the stall limit: while connecting, before the answer, or in its body.',
    ...again('stalled'),
    ...CONNECTION,
    advice: 'Look at the load of the server and the line; `DOWNLOAD_STALL_MS` and `UPLOAD_STALL_MS` are the limits.',
  },
  {
    schemes: WEB,
    fault: 'The connection ends before an answer.',
    ...again('cut'),
    ...CONNECTION,
    advice: 'Look at the log of the server; the next try goes on with what is held.',
  },
  {
    schemes: WEB,
    fault: 'The connection ends in the body.',
    ...again('cut'),
    ...CONNECTION,
    advice: 'Nothing, if it is rare: the next try goes on where this one stopped; else look at time limits of proxies.',
  },
  {
    schemes: WEB,
    fault: 'What answers does not speak HTTP.',
    ...again('bad_response'),
    ...CONNECTION,
    advice: 'Correct the port, or http:// to https://.',
  },
  {
    schemes: WEB,
    fault: 'The head of the answer is longer than 256 KiB.',
    ...again('bad_response'),
    ...CONNECTION,
    advice: 'Let the server set fewer cookies and shorter headers.',
  },
  {
    schemes: WEB,
    fault: 'The protocol is switched, unasked.',
    ...again('bad_response'),
    ...CONNECTION,
    advice: 'Let the server answer HTTP requests by HTTP.',
  },
  {
    schemes: WEB,
    fault: 'The chunks of the body are not framed as they must be.',
    // Node's parser has handed the head over then, and ends the connection.
    ...again('cut'),
    advice: 'Mend the server or the proxy before it.',
  },
  {
    schemes: WEB,
    fault: 'A range comes that nobody asked for.',
    ...again('bad_response'),
    advice: 'Mend the server or the cache before it.',
  },
  {
    schemes: WEB,
    fault: 'The content comes compressed, unasked, and cannot be decoded.',
    ...again('content_encoding'),
    advice: 'Let the server send the file as it is.',
  },
  {
    schemes: WEB,
    fault: 'The content is the frames of an upload to S3 (`aws-chunked`).',
    ...again('content_encoding'),
    advice: 'Upload the file again by a client that the store understands.',
  },
  {
    schemes: WEB,
    fault: 'The content comes in a transfer coding besides `chunked`.',
    ...final('transfer_encoding'),
    advice: 'Let the server send the file as it is.',
  },
  {
    schemes: WEB,
    fault: 'More than five redirects.',
    ...final('too_many_redirects'),
    advice: 'Use the location where the file is.',
  },
  {
    schemes: WEB,
    fault: 'A redirect leads to what is no address.',
    ...again('bad_response'),
    advice: 'Correct the redirect at the server.',
  },
  {
    schemes: WEB,
    fault: 'A redirect leads to where no location may lead.',
    ...final('location_refused'),
    advice: 'Allow the host it leads to, or use a location that needs no redirect.',
  },
  {
    schemes: WEB,
    fault: 'A redirect leads to a scheme that is not fetched over HTTP.',
    ...final('scheme_unsupported'),
    advice: 'Use the location where the file is.',
  },
];

const PROXIES: readonly Fault[] = [
  {
    schemes: WEB,
    fault: 'The forward proxy cannot be reached, or breaks off before it has made a tunnel.',
    ...again('proxy_unreachable'),
    ...upload('UploadFailure', 'proxy_unreachable'),
    advice: 'Look whether the proxy runs and is the one in `LOCATION_PROXY`, `HTTP_PROXY` or `HTTPS_PROXY`.',
  },
  {
    schemes: WEB,
    fault: 'The forward proxy answers 407.',
    ...final('proxy_407'),
    ...upload('PermissionDenied', 'proxy_407'),
    advice: 'Put the right user and password into the setting of the proxy.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy makes no tunnel by its own rules: 401 or 403.',
    ...final('proxy_403'),
    ...upload('PermissionDenied', 'proxy_403'),
    advice: 'Allow the host and port at the proxy.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy is busy: 408, 425, 429.',
    ...again('proxy_429'),
    ...upload('UploadFailure', 'proxy_429'),
    advice: 'Nothing, if it passes; else look at the limits of the proxy.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy answers 404.',
    ...final('proxy_404'),
    ...upload('UploadFailure', 'proxy_404'),
    advice: 'Correct the host of the location, or let the proxy know it.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy makes no tunnels: 405.',
    ...final('proxy_405'),
    ...upload('NotSupportedOperation', 'proxy_405'),
    advice: 'Use a proxy that allows CONNECT.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy knows no tunnels: 501, 505.',
    ...again('proxy_501'),
    ...upload('NotSupportedOperation', 'proxy_501'),
    advice: 'Use a proxy that knows CONNECT.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy refuses for another reason (4xx).',
    ...final('proxy_4xx'),
    ...upload('BadMessage', 'proxy_4xx'),
    advice: 'Look at the log of the proxy.',
  },
  {
    schemes: TLS,
    fault: 'The forward proxy cannot reach the server (5xx).',
    ...again('proxy_5xx'),
    ...upload('UploadFailure', 'proxy_5xx'),
    advice: 'Look at the way from the proxy to the server.',
  },
];

export const HTTP_FAULTS: readonly Fault[] = [...LOCATIONS, ...CONNECTIONS, ...ANSWERS, ...PROXIES];
