/**
 * All errors of REST, as one table: the code a client may rely on, the status, and what it means. Errors are sent as
 * RFC 9457 problems. The documents walk this table.
 */
import { CodedError, withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}
const kind = (status: number, title: string): ProblemKind => ({ status, title });

export const PROBLEMS = {
  REQUEST_MALFORMED: kind(400, 'The request is not HTTP as RFC 9112 has it.'),
  BODY_MALFORMED: kind(400, 'The body is not JSON, or is empty where one is needed.'),
  PARAMETER_INVALID: kind(400, 'A parameter of the path, the query or a header does not fit.'),
  CURSOR_INVALID: kind(400, 'The cursor was not made by this API.'),
  LAST_EVENT_ID_INVALID: kind(400, 'Last-Event-ID was not made by this API.'),
  NOT_AUTHENTICATED: kind(401, 'No valid API key or token was sent.'),
  SCOPE_MISSING: kind(403, 'The caller does not have the scope this needs.'),
  NOT_FOUND: kind(404, 'There is nothing at this address.'),
  STATION_UNKNOWN: kind(404, 'No station with this id has been heard or configured.'),
  OPERATION_UNKNOWN: kind(404, 'There is no such operation, or it was removed after its retention.'),
  ARCHIVE_UNKNOWN: kind(404, 'The upload ended without an archive, or it was removed or replaced.'),
  ARTIFACT_UNKNOWN: kind(404, 'The depot does not hold this artefact.'),
  REQUEST_TIMEOUT: kind(408, 'The request did not come to its end in time; the connection is closed.'),
  STATION_NOT_CONFIGURED: kind(
    409,
    'The station is not in the stations file, or has no driver there: nothing is done with it.',
  ),
  STATION_IN_CONFLICT: kind(409, 'Two stations use this identity: nothing is done with either.'),
  INSTALLING: kind(409, 'The station is being changed by an update.'),
  SIGNATURE_REQUIRED: kind(409, 'The station takes only signed images.'),
  SIGNATURE_INCOMPLETE: kind(409, 'A certificate without a signature, or the other way round.'),
  LOCATION_SCHEME_NOT_ALLOWED: kind(409, 'The settings do not allow this scheme.'),
  LOCATION_HOST_NOT_ALLOWED: kind(409, 'The settings do not allow this host.'),
  LOCATION_ADDRESS_FORBIDDEN: kind(409, 'No loopback, link-local, metadata addresses; no servers of the depot.'),
  LOCATION_KEY_NOT_ALLOWED: kind(409, 'This place in the object store is not for it.'),
  LOG_TYPE_UNKNOWN: kind(409, 'There are no logs of this type.'),
  WINDOW_EMPTY: kind(409, 'The oldest time stamp is after the latest.'),
  NETWORK_NOT_SUPPORTED: kind(409, 'Networks are not configured at this station.'),
  INTERFACE_UNKNOWN: kind(409, 'The stations file does not name this interface.'),
  SLOT_TAKEN_BY_EVEREST: kind(409, 'An operation that EVerest asked for is under way; replace: true ends it.'),
  SLOT_BUSY: kind(409, 'An operation is just being answered; ask again in a moment.'),
  NOT_CANCELABLE: kind(409, 'The station is being changed; the update cannot be stopped any more.'),
  NOT_WAITING: kind(409, 'The update does not wait for a permission now.'),
  NO_DOWNLOAD: kind(409, 'The image is here already, or the update has ended: nothing is left to be fetched.'),
  ARCHIVE_NOT_READY: kind(409, 'The upload is still under way.'),
  ARCHIVE_ELSEWHERE: kind(409, 'The archive was sent to a server that is not the depot’s object store.'),
  ARTIFACT_IN_USE: kind(409, 'The artefact is needed, or is just being removed.'),
  ARTIFACT_ELSEWHERE: kind(409, 'This gateway does not see where the ota-workers keep images.'),
  REFUSED: kind(409, 'Refused; reason says why.'),
  PRECONDITION_FAILED: kind(412, 'The file is not the one that was named by its ETag or date.'),
  BODY_TOO_LARGE: kind(413, 'The body is too large.'),
  CONTENT_TYPE_UNSUPPORTED: kind(
    415,
    'The body must be application/json, or the image itself where one is brought in.',
  ),
  RANGE_NOT_SATISFIABLE: kind(416, 'The file does not have these bytes.'),
  EXPECTATION_UNKNOWN: kind(417, 'Nothing but 100-continue may be expected.'),
  BODY_INVALID: kind(422, 'The body is JSON but not what is needed.'),
  ARTIFACT_REFUSED: kind(422, 'The bytes are not what they have to be; reason says in what.'),
  LOCATION_MALFORMED: kind(422, 'The location cannot be read.'),
  LOCATION_SCHEME_UNKNOWN: kind(422, 'The scheme of the location is not supported.'),
  LOCATION_NOT_USABLE: kind(422, 'Logs cannot be brought to this location.'),
  CERTIFICATE_INVALID: kind(422, 'The signing certificate is not trusted.'),
  CERTIFICATE_REVOKED: kind(422, 'The signing certificate is revoked.'),
  TIME_ABSURD: kind(422, 'No clock should be set to this time.'),
  NO_OBJECT_STORE: kind(422, 'The depot has no object store: name a location.'),
  IDEMPOTENCY_KEY_REUSED: kind(422, 'This Idempotency-Key was sent with another request.'),
  TOO_MANY_REQUESTS: kind(429, 'More requests than this caller may send; Retry-After says when to go on.'),
  TOO_MANY_EVENT_STREAMS: kind(429, 'This caller has as many event streams open at this gateway as it may.'),
  HEADERS_TOO_LARGE: kind(431, 'The headers of the request are larger than 16 KiB.'),
  INTERNAL: kind(500, 'Something went wrong; the log says what.'),
  NOT_STORED: kind(503, 'The decision could not be stored: nothing was accepted. Ask again.'),
  READS_BUSY: kind(503, 'More is being asked for at this gateway than it answers at once. Ask again.'),
  WORKERS_GONE: kind(503, 'No worker is there to do it: nothing was accepted. Ask again.'),
  CERTIFICATE_NOT_JUDGED: kind(503, 'The certificate was not judged in time: nothing was accepted. Ask again.'),
  ARTIFACT_STORE_UNREACHABLE: kind(503, 'Where images are kept cannot be used now.'),
  OBJECT_STORE_UNREACHABLE: kind(503, 'The object store does not answer.'),
  AUTHORITY_UNREACHABLE: kind(503, 'The token cannot be checked: its issuer’s keys are out of reach.'),
  TOO_MANY_SUBSCRIBERS: kind(503, 'This gateway serves as many event streams as it may.'),
  ARTIFACT_NO_SPACE: kind(507, 'There is no room for the artefact.'),
} as const satisfies Record<string, ProblemKind>;
export type ProblemCode = keyof typeof PROBLEMS;

/** One of the things that are wrong with a request. */
export interface ProblemError {
  readonly detail: string;
  /** Where in the body: a JSON pointer as the fragment of a URI, as in RFC 9457, 3. */
  readonly pointer?: string;
  /** Which parameter, and where it stands. */
  readonly parameter?: string;
  readonly in?: 'query' | 'path' | 'header';
  /** What would have been taken. */
  readonly allowed?: readonly unknown[];
}

export interface ProblemMembers {
  /** The stable word of the decision behind it. */
  readonly reason?: string;
  readonly operationId?: string;
  /** Operations that need what was to be removed. */
  readonly operations?: readonly string[];
  /** All that is wrong, up to a limit. */
  readonly errors?: readonly ProblemError[];
}

/** Thrown by a route; the error handler sends it. */
export class Problem extends CodedError {
  declare readonly code: ProblemCode;
  readonly members: ProblemMembers;
  /** What it was this time. Absent where the title says it all. */
  readonly detail?: string;
  constructor(code: ProblemCode, detail?: string, members: ProblemMembers = {}, options?: { cause?: unknown }) {
    super(code, detail ?? PROBLEMS[code].title, options);
    this.members = members;
    if (detail !== undefined && detail !== PROBLEMS[code].title) this.detail = withoutCredentials(detail);
  }
}

/** The body of a problem, RFC 9457. */
export function problemBody(problem: Problem, path: string) {
  const { status, title } = PROBLEMS[problem.code];
  return {
    type: `urn:khumbu:problem:${problem.code}`,
    title,
    status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    instance: path,
    code: problem.code,
    ...problem.members,
  };
}

export const pathOf = ({ url }: Pick<FastifyRequest, 'url'>): string => url.split('?', 1)[0] ?? '';

/** `path` is shown in the body; empty: this very address. */
export function sendProblem(reply: FastifyReply, problem: Problem, path: string = pathOf(reply.request)): FastifyReply {
  const { status } = PROBLEMS[problem.code];
  if (problem.code === 'TOO_MANY_EVENT_STREAMS') reply.header('retry-after', '10');
  if (status === 503) reply.header('retry-after', '1');
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  reply.header('cache-control', 'no-store');
  return reply.status(status).type('application/problem+json').send(problemBody(problem, path));
}
