/** The description of a route, and the type of the app they are added to. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Scope } from '@khumbu/rest-contract/api-keys-file';
import { OperationSchema } from '@khumbu/rest-contract/operations';
import { ProblemSchema } from '@khumbu/rest-contract/problem';
import { PROBLEMS, type ProblemCode } from '@khumbu/rest-contract/problem-codes';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { TSchema } from 'typebox';
import type { Caller } from './api-keys.js';
import { ref } from './contract-schemas.js';
import type { Deprecation } from './deprecation.js';

export type RestApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    caller?: Caller;
  }
  interface FastifyContextConfig {
    /** What a caller needs. A route below /v1 without one is a mistake. */
    scope?: Scope;
    /** What it does lasts: it queues its work part by part, or is counted in another way. */
    isUnqueued?: boolean;
    /** Whether the address alone lets the caller in, without a key; rejects with a problem for a wrong signature. */
    isSigned?: (request: FastifyRequest) => Promise<boolean>;
    /** A code in place of a key is taken here. */
    takesCode?: boolean;
    /** It reads, and waits for the object store too. */
    asksObjectStore?: boolean;
  }
}

export interface RouteText<S extends object> {
  readonly id: string;
  readonly tag:
    | 'stations'
    | 'firmware'
    | 'logs'
    | 'control'
    | 'operations'
    | 'events'
    | 'depot'
    | 'webhooks'
    | 'session';
  readonly summary: string;
  readonly description: string;
  readonly scope: Scope;
  /** Beside those that every route may answer with. */
  readonly problems?: readonly ProblemCode[];
  readonly success: Readonly<Record<string, unknown>>;
  /** It will go. */
  readonly deprecation?: Deprecation;
  /** The schemas of its parameters, headers and body. */
  readonly takes: S;
}

const EVERYWHERE: readonly ProblemCode[] = [
  'REQUEST_MALFORMED',
  'REQUEST_TIMEOUT',
  'EXPECTATION_UNKNOWN',
  'HEADERS_TOO_LARGE',
  'PARAMETER_INVALID',
  'NOT_AUTHENTICATED',
  'CSRF_TOKEN_MISSING',
  'SCOPE_MISSING',
  'TOO_MANY_REQUESTS',
  'INTERNAL',
  'NOT_STORED',
  'READS_BUSY',
];
/** Of every route whose method may have a body, needed or not. */
export const WITH_ANY_BODY: readonly ProblemCode[] = ['BODY_MALFORMED', 'BODY_TOO_LARGE', 'CONTENT_TYPE_UNSUPPORTED'];
/** Of every route that needs a body. */
export const WITH_BODY: readonly ProblemCode[] = [...WITH_ANY_BODY, 'BODY_INVALID', 'IDEMPOTENCY_KEY_REUSED'];
/** Of every route that submits an operation. */
export const REFUSALS: readonly ProblemCode[] = [
  'STATION_UNKNOWN',
  'STATION_NOT_CONFIGURED',
  'STATION_IN_CONFLICT',
  'SLOT_TAKEN_BY_EVEREST',
  'SLOT_BUSY',
  'WORKERS_GONE',
];
export const LOCATION_PROBLEMS = (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) =>
  code.startsWith('LOCATION_'),
);

function problemResponses(codes: readonly ProblemCode[]): Record<string, unknown> {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('\n\n'),
        content: { 'application/problem+json': { schema: ref(ProblemSchema) } },
      },
    ]),
  );
}

/** The options of a route. */
export function describeRoute<S extends object>(route: RouteText<S>) {
  const problems = [...new Set([...EVERYWHERE, ...(route.problems ?? [])])];
  const { deprecation } = route;
  const response = { ...route.success, ...problemResponses(problems) } as Record<number, TSchema>;
  return {
    config: { scope: route.scope, ...(deprecation ? { deprecation } : {}) },
    schema: {
      operationId: route.id,
      tags: [route.tag],
      summary: route.summary,
      description: `${deprecation ? `Deprecated: ${deprecation.instead}\n\n` : ''}${route.description}\n\nNeeds the scope \`${route.scope}\`.`,
      ...(deprecation ? { deprecated: true, 'x-sunset': deprecation.sunset } : {}),
      security: [{ bearer: [] }],
      response,
      ...route.takes,
    },
  };
}

/** Headers are described for all routes at once, in `documented-headers.ts`. */
export const answers = (status: number, description: string, schema: TSchema) => ({
  [status]: { description, content: { 'application/json': { schema } } },
});

/** 202 with the operation and where to follow it. */
export const accepted = answers(202, 'Accepted: the operation, to be followed at Location.', ref(OperationSchema));
