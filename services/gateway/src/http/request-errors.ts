/** What Fastify and its plugins find wrong with a request, in our words. */

import type { ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Load, pacedRefusal } from './load.js';
import { Problem, sendProblem } from './problems.js';

const CODE_OF_FASTIFY: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'CONTENT_TYPE_UNSUPPORTED',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BODY_MALFORMED',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BODY_MALFORMED',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BODY_MALFORMED',
  FST_ERR_VALIDATION: 'BODY_INVALID',
};
/** Of errors that have only a status, as for files of the documentation. */
const CODE_OF_STATUS: Readonly<Record<number, ProblemCode>> = {
  400: 'BODY_MALFORMED',
  403: 'NOT_FOUND',
  404: 'NOT_FOUND',
  412: 'PRECONDITION_FAILED',
  416: 'RANGE_NOT_SATISFIABLE',
  429: 'TOO_MANY_REQUESTS',
};
/** Codes whose title says more than the message of the error. */
const WITHOUT_DETAIL: ReadonlySet<ProblemCode> = new Set([
  'NOT_FOUND',
  'TOO_MANY_REQUESTS',
  'PRECONDITION_FAILED',
  'BODY_TOO_LARGE',
  'CONTENT_TYPE_UNSUPPORTED',
]);

/** Pure. `undefined`: a surprise. */
function problemOf(error: FastifyError): Problem | undefined {
  if (error instanceof Problem) return error;
  const code = CODE_OF_FASTIFY[error.code] ?? CODE_OF_STATUS[error.statusCode ?? 0];
  if (code === undefined) return undefined;
  return new Problem(code, WITHOUT_DETAIL.has(code) ? undefined : describeError(error));
}

/** An empty body is none where none is needed, whatever its type says: curl users set it for all requests. */
export function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body !== '') return parse(request, body, done);
    if (request.routeOptions.schema?.body) done(new Problem('BODY_MALFORMED', 'The body is empty.'));
    else done(null, undefined);
    return undefined;
  });
}

export function handleErrors(app: FastifyInstance, load: Load, log: Logger): void {
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const problem = problemOf(error) ?? new Problem('INTERNAL', undefined, {}, { cause: error });
    // A client that disconnected during the body gets no response; that is no fault of this service.
    if (problem.code === 'INTERNAL' && !(error.code === 'ECONNRESET' && !request.raw.complete))
      log.error({ err: error, requestId: request.id }, 'request failed');
    const isPaced = request.caller === undefined || problem.code === 'TOO_MANY_REQUESTS';
    if (isPaced && !(await pacedRefusal(request, load))) return reply.hijack();
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler(({ method }, reply) =>
    sendProblem(reply, new Problem('NOT_FOUND', `Nothing is served to ${method} there.`)),
  );
}

/** RFC 9112, 3.2: one host, from HTTP/1.1 on. Node.js would refuse none with an empty body, and take the first of several. */
export function requireHost(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }, reply) => {
    const { httpVersionMajor: major, httpVersionMinor: minor, rawHeaders } = raw;
    const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
    if (hosts === 1 || (hosts === 0 && (major < 1 || (major === 1 && minor < 1)))) return;
    reply.header('connection', 'close');
    throw new Problem('REQUEST_MALFORMED', `A request of HTTP/1.1 has one Host header; this has ${hosts}.`);
  });
}

/** Before there is a route, and so without hooks: the address cannot be read. It is not repeated. */
export function refuseAddress({ code }: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const isLong = code === 'FST_ERR_MAX_PARAM_LENGTH';
  const detail = isLong ? 'A parameter of the path is too long.' : 'The path is not percent-encoded UTF-8.';
  const safe = { 'x-request-id': request.id, 'x-content-type-options': 'nosniff' };
  sendProblem(reply.headers(safe), new Problem('PARAMETER_INVALID', detail), '');
}
