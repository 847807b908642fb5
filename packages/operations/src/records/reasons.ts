/**
 * Why an operation ended or entered a state: every word once, with what it means. What is written takes its words from this
 * table, so that a misspelt one does not compile; what is read may be of another version and have words of its own.
 */
import type { CodedError } from '@khumbu/shared/runtime/errors';
import type { WaitWord } from './wait-words.js';

const REASONS = {
  // How an operation ends without an error.
  superseded: 'Another operation took its place.',
  canceled: 'It was canceled over REST.',
  withdrawn: 'It was never answered, so nothing follows from it.',
  replaced_by_rest: 'An operation over REST took its place.',
  answer_unconfirmed: 'Its answer was sent, and it is not known whether EVerest received it.',
  deadline: 'It took too long.',
  everest_not_heard: 'The station was reset, and EVerest was not heard afterwards.',
  stale: 'The time was too old to be set.',
  transaction_running: 'A transaction runs at the station, and its clock is not stepped meanwhile.',
  clock_step_too_large: 'The step would be larger than is made without a person.',
  error: 'Something unexpected went wrong.',
  failed: 'It failed; the message says more.',
  // What happens to an update on its way.
  announced: 'EVerest received the status that was held back.',
  station_restarted: 'EVerest restarted, so its permission is void.',
  permission_expired: 'The permission is too old for a station without heartbeats.',
  gaveUp: 'No try is left.',
  imageUnfit: 'The station refuses the image.',
  verification_failed: 'The station could not verify the image.',
  image_missing: 'The depot has the image no more.',
  installFailed: 'The installation failed.',
  reboot_failed: 'The station could not be restarted.',
  not_rebooted: 'The station did not restart.',
  not_running: 'The station does not run the image.',
  not_healthy: 'The station runs the image and says that it is not well.',
  certificate_store: 'The station runs the image, and the certificate store of EVerest does not answer as before.',
  fell_back: 'The station runs another image.',
  // Signatures.
  signatureBad: 'The signature is not that of the image.',
  certificate_unreadable: 'The certificate cannot be read.',
  signature_unreadable: 'The signature cannot be read.',
  signature_mismatch: 'The signature is not that of the image.',
  key_type_unsupported: 'The kind of key is not supported.',
  pkcs1_not_allowed: 'The signature is of PKCS #1, which is not allowed here.',
  // Locations and transfers.
  station_not_configured: 'The station is not in the stations file.',
  location_refused: 'The location may not be used.',
  location_unusable: 'The location cannot be used.',
  scheme_unsupported: 'The scheme of the location is not supported.',
  window_empty: 'No log can be in the window of times.',
  badMessage: 'The request cannot be followed.',
  bad_message: 'The request cannot be followed.',
  denied: 'The other server denies it.',
  notSupported: 'The request is not supported.',
  not_supported: 'The request is not supported.',
  connection: 'The other server could not be reached, or broke off.',
  dns: 'The name of the server could not be resolved.',
  connect: 'No connection to the server.',
  tls: 'No secure connection to the server.',
  stalled: 'The server sent nothing for too long.',
  cut: 'The connection was cut.',
  bad_response: 'The server does not speak HTTP as it should.',
  content_encoding: 'It came compressed in a way that cannot be undone.',
  transfer_encoding: 'It came in a transfer coding that was not asked for.',
  empty: 'No bytes at all.',
  too_small: 'Fewer bytes than the least image.',
  too_large: 'More bytes than are allowed.',
  wrong_length: 'Not as many bytes as the server said.',
  too_many_redirects: 'Redirected too often.',
  web_page: 'A web page came, and no image.',
  paused: 'The download was paused.',
  operator_pause: 'An operator has paused the download.',
  depot_pause: 'An operator has paused all downloads.',
  download_window: 'The download waits for its time of day.',
  month_budget: 'The bytes of this month are used up.',
  update_budget: 'It has fetched as much as one update may.',
  nobody_waits: 'No update waits for it any more.',
  no_space: 'The spool is full.',
  spool_unusable: 'The spool cannot be used.',
  proxy_unreachable: 'The proxy cannot be reached.',
  s3_wrong_region: 'The region of the object store is another one.',
  s3_wrong_endpoint: 'The endpoint of the object store is another one.',
  s3_denied: 'The object store denies it.',
  s3_no_such_bucket: 'The bucket does not exist.',
  s3_no_such_key: 'The object does not exist.',
  s3_no_such_upload: 'The upload was ended by somebody else.',
  s3_quota: 'The object store is full.',
  s3_bad_request: 'The object store does not accept the request.',
  s3_not_supported: 'The object store lacks what is needed.',
  s3_corrupt: 'The object is not what was put there.',
  s3_unavailable: 'The object store cannot be used now.',
  // File servers.
  login_refused: 'The server refuses the user, the password or the key.',
  no_such_file: 'There is no such file.',
  no_such_folder: 'There is no such folder.',
  remote_full: 'The disk or the quota of the server is full.',
  remote_busy: 'The server takes no more connections for now.',
  data_connection: 'The port for data that the server names cannot be reached.',
  tls_required: 'The server wants TLS, and the location has none.',
  host_key_unknown: 'No host key of the server is pinned.',
  host_key_changed: 'The server has another host key than the pinned one.',
  algorithms: 'The server has no algorithm in common with us.',
  no_sftp: 'The server offers no SFTP.',
  sftp_failure: 'The server answers that it failed, and no more.',
  content_changed: 'The file was changed while it was read.',
  not_whole: 'The server has another number of bytes than were sent.',
  size_unknown: 'The server does not tell how many bytes have arrived.',
  // Stations.
  reset_failed: 'The station could not be reset.',
  station_full: 'The station has no room for the image.',
  image_changed: 'The image arrives at the station as another one.',
  driver_unusable: 'The driver of the station cannot be loaded.',
  effect_retired: 'The station was told before that this operation was given up.',
  argument_refused: 'A command for the station has a word that no argument can hold.',
} as const;

type Word = keyof typeof REASONS;
const isWord = (text: string): text is Word => Object.hasOwn(REASONS, text);

declare const coded: unique symbol;
/** The code of an error in lower case, as `station_unreachable`. */
export type CodedReason = string & { readonly [coded]: true };

/** A stable word. The families: a status of HTTP, one of a proxy, a reply of FTP, what was waited for when time was up, the code of an error. */
export type Reason =
  | Word
  | `http_${number}`
  | `proxy_${number}`
  | `ftp_${number}`
  | `deadline_${WaitWord}`
  | CodedReason;

const isCode = (text: string): text is CodedReason => /^[a-z][a-z0-9_]*$/.test(text);

/** The code of an error as a word; `error` where it is none. */
export function reasonOfCode({ code }: Pick<CodedError, 'code'>): Reason {
  const word = code.toLowerCase();
  return isCode(word) ? word : 'error';
}

/** The word for an event that ends an operation and brings none of its own. */
export const reasonOfEvent = (event: string): Word =>
  event === 'outOfTime' ? 'deadline' : isWord(event) ? event : 'failed';
