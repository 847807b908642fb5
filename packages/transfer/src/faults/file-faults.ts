/** Faults of file servers: `ftp`, `ftps`, `sftp`. What servers answer is in `schemes/ftp/replies.ts` and `schemes/sftp/statuses.ts`. */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { again, type Fault, final, upload } from './fault.js';

const ALL: readonly LocationScheme[] = ['ftp', 'ftps', 'sftp'];
const FTP: readonly LocationScheme[] = ['ftp', 'ftps'];
const FTPS: readonly LocationScheme[] = ['ftps'];
const PLAIN: readonly LocationScheme[] = ['ftp'];
const SFTP: readonly LocationScheme[] = ['sftp'];

/** What breaks a connection is told of uploads by one word. */
const CONNECTION = upload('UploadFailure', 'connection');

export const FILE_FAULTS: readonly Fault[] = [
  {
    schemes: ALL,
    fault: 'The path is not valid percent-encoded UTF-8, or it, the user or the password has control characters.',
    ...final('location_refused'),
    ...upload('BadMessage', 'location_unusable'),
    advice: 'Write what is special in it as %XX, and a % as %25.',
  },
  {
    schemes: ALL,
    fault: 'The scheme, the host or its address is not allowed.',
    ...final('location_refused'),
    ...upload('PermissionDenied', 'location_refused'),
    advice: 'See `ALLOWED_LOCATION_SCHEMES`, for archives also `ALLOWED_LOG_SCHEMES`, and `ALLOWED_LOCATION_HOSTS`.',
  },
  {
    schemes: ALL,
    fault: 'The name of the host does not exist, or no name server answers.',
    ...again('dns'),
    ...CONNECTION,
    advice: 'Correct the host in the location, or the name servers of the depot.',
  },
  {
    schemes: ALL,
    fault: 'The name of the host leads only to addresses that are not allowed.',
    ...final('location_refused'),
    ...CONNECTION,
    advice: 'Correct the name in DNS; a name that is listed lends its right to no forbidden address.',
  },
  {
    schemes: ALL,
    fault: 'The port is closed, or there is no route to the host.',
    ...again('connect'),
    ...CONNECTION,
    advice: 'Start the server, correct the port, or look at the firewalls between.',
  },
  {
    schemes: ALL,
    fault: 'The server says nothing for the stall limit: no greeting, no reply, no content.',
    ...again('stalled'),
    ...CONNECTION,
    advice:
      'Look at the load of the server; `DOWNLOAD_STALL_MS` and `UPLOAD_STALL_MS` are the limits. A port of implicit TLS greets nobody who speaks in plain.',
  },
  {
    schemes: ALL,
    fault: 'The connection ends before all was sent and confirmed.',
    ...again('cut'),
    ...CONNECTION,
    advice: 'Nothing, if it is rare: the next try of a download goes on where this one stopped.',
  },
  {
    schemes: ALL,
    fault: 'User, password or key are refused, or the location has none.',
    ...final('login_refused'),
    ...upload('PermissionDenied', 'login_refused'),
    advice:
      'Put user and password into the location, with what is special in them as %XX; for SFTP with a key, set `LOCATION_PRIVATE_KEY_FILE` and leave the password out.',
  },
  {
    schemes: ALL,
    fault: 'There is no such file, or a folder has its name.',
    ...final('no_such_file'),
    advice:
      'Put the file there, or correct the path: an FTP path begins where the login leads to, with `//` at the root; an SFTP path begins at the root, with `/~/` in the home folder.',
  },
  {
    schemes: ALL,
    fault: 'There is no such folder.',
    ...upload('UploadFailure', 'no_such_folder'),
    advice: 'Make the folder: none is made by an upload.',
  },
  {
    schemes: ALL,
    fault: 'The user may not read or write there.',
    ...final('denied'),
    ...upload('PermissionDenied', 'denied'),
    advice: 'Give the user the right to it; for uploads also to rename and to delete.',
  },
  {
    schemes: ALL,
    fault: 'The disk or the quota of the server is full.',
    ...upload('UploadFailure', 'remote_full'),
    advice: 'Make room at the server.',
  },
  {
    schemes: ALL,
    fault: 'The file was changed, grew or shrank while it was read.',
    ...again('content_changed'),
    advice: 'Nothing: the next try begins from the beginning. Put files there under another name and rename them.',
  },
  {
    schemes: ALL,
    fault: 'The server has another number of bytes than were sent.',
    ...upload('UploadFailure', 'not_whole'),
    advice: 'Look at the log of the server, and at its disk.',
  },
];

export const FTP_FAULTS: readonly Fault[] = [
  {
    schemes: FTP,
    fault: 'The server lacks room for what it does to send the file (452, 552).',
    ...again('remote_full'),
    advice: 'Make room at the server.',
  },
  {
    schemes: FTP,
    fault: 'The port for data that the server names cannot be reached, or the server opens none (425).',
    ...again('data_connection'),
    ...upload('UploadFailure', 'data_connection'),
    advice:
      'Open the passive ports of the server in its firewall; data goes to the address of the control connection, whatever the server names.',
  },
  {
    schemes: FTP,
    fault: 'The server names a port for data at which a server of the depot itself listens.',
    ...final('location_refused'),
    ...upload('PermissionDenied', 'location_refused'),
    advice: 'Use a server outside of the depot’s own hosts, or passive ports that are not those of the depot.',
  },
  {
    schemes: FTP,
    fault: 'The server knows no passive mode, or does not speak FTP as it should.',
    ...again('bad_response'),
    ...CONNECTION,
    advice: 'Correct the port, or allow EPSV or PASV at the server.',
  },
  {
    schemes: FTP,
    fault: 'The server is busy, or closes for now (421).',
    ...again('remote_busy'),
    ...upload('UploadFailure', 'remote_busy'),
    advice: 'Nothing, if it passes; else look at the limits of connections of the server.',
  },
  {
    schemes: FTP,
    fault: 'The server cannot tell the size of what has arrived (neither SIZE nor MLST).',
    ...upload('NotSupportedOperation', 'size_unknown'),
    advice: 'Use a server that has SIZE: without it no upload can be known to be whole.',
  },
  {
    schemes: FTP,
    fault: 'The server breaks off by an error of its own (451): most often its disk or quota.',
    ...again('ftp_451'),
    ...upload('UploadFailure', 'ftp_451'),
    advice: 'Look at the log of the server, and at its disk.',
  },
  {
    schemes: FTP,
    fault: 'The server does not have a command that is needed (502).',
    ...final('ftp_502'),
    ...upload('NotSupportedOperation', 'ftp_502'),
    advice: 'Use a server that has TYPE I, RETR, STOR and passive mode.',
  },
  {
    schemes: FTP,
    fault: 'The server answers with another reply that may pass (4xx).',
    ...again('ftp_4xx'),
    ...upload('UploadFailure', 'ftp_4xx'),
    advice: 'Look at the log of the server.',
  },
  {
    schemes: FTP,
    fault: 'The server answers with another refusal (5xx).',
    ...final('ftp_5xx'),
    ...upload('UploadFailure', 'ftp_5xx', false),
    advice: 'Look at the log of the server.',
  },
  {
    schemes: PLAIN,
    fault: 'The server wants TLS, for the login or for data.',
    ...final('tls_required'),
    ...upload('NotSupportedOperation', 'tls_required'),
    advice:
      'Write the location with ftps:// and the port: ftps://host:21/ begins TLS by command, ftps://host/ at once at port 990.',
  },
  {
    schemes: FTPS,
    fault: 'The certificate is not trusted, has expired, or is of another name; or the server speaks no TLS.',
    ...again('tls'),
    ...CONNECTION,
    advice: 'Put the authority into `LOCATION_CA_FILE`, renew the certificate, or use the name that is in it.',
  },
];

export const SFTP_FAULTS: readonly Fault[] = [
  {
    schemes: SFTP,
    fault: 'No host key of the server is pinned.',
    ...final('host_key_unknown'),
    ...upload('UploadFailure', 'host_key_unknown', false),
    advice: 'Compare the key that `ssh-keyscan -p PORT HOST` shows, and put its line into `LOCATION_KNOWN_HOSTS_FILE`.',
  },
  {
    schemes: SFTP,
    fault: 'The server has another host key than the pinned one, or one that is marked as revoked.',
    ...final('host_key_changed'),
    ...upload('UploadFailure', 'host_key_changed', false),
    advice:
      'Ask who runs the server: it got a new key, or someone else answers in its place. Pin the new key if it is good.',
  },
  {
    schemes: SFTP,
    fault: 'Both sides have no algorithm in common.',
    ...final('algorithms'),
    ...upload('UploadFailure', 'algorithms', false),
    advice: 'Let the server offer curve25519 and aes-gcm as well.',
  },
  {
    schemes: SFTP,
    fault: 'The server offers no SFTP.',
    ...final('no_sftp'),
    ...upload('NotSupportedOperation', 'no_sftp'),
    advice: 'Let the server have `Subsystem sftp internal-sftp`.',
  },
  {
    schemes: SFTP,
    fault: 'The server answers "Failure", which means anything.',
    ...again('sftp_failure'),
    ...upload('UploadFailure', 'sftp_failure'),
    advice: 'Look at the log of the server, and at its disk.',
  },
];
