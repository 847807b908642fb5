/** Errors of REST as RFC 9457 problems. */
import { PROBLEMS, type ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { CodedError, withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** One of the things that are wrong with a request. */
export interface ProblemError {
  readonly detail: string;
  /** Where in the body: a JSON pointer as the fragment of a URI, as in RFC 9457, 3. */
  readonly pointer?: string;
  /** Which parameter, and where it stands. */
  readonly parameter?: string;
  readonly in?: 'query' | 'path' | 'header';
  /** The keyword of JSON Schema it breaks; absent: a rule of the depot, which the code names. */
  readonly rule?: string;
  /** Of a filter: the first character that does not fit, from 0 on, and how many do not. */
  readonly position?: number;
  readonly length?: number;
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

/** A cursor that this API did not make. */
export const cursorInvalid = (options?: { cause?: unknown }): Problem => {
  const detail = 'cursor is not the nextCursor of a page';
  return new Problem('CURSOR_INVALID', detail, { errors: [{ detail, parameter: 'cursor', in: 'query' }] }, options);
};

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
