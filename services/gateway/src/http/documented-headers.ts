/** The headers of answers, as one table that the OpenAPI document is completed from. */
import { IMAGE_TYPE } from './artifacts/content-stream.js';

interface Documented {
  readonly description: string;
  readonly schema: object;
  /** Whether an answer of this kind has it, always or at times. */
  readonly isThere: (answer: Answer) => boolean;
}

interface Answer {
  readonly status: number;
  readonly isStream: boolean;
  /** Bytes of an artefact, or nothing because the reader has them. */
  readonly isContent: boolean;
  /** Of a route that takes the bytes of an artefact, with success. */
  readonly isUpload: boolean;
  readonly isDeprecated: boolean;
  /** The route takes an Idempotency-Key. */
  readonly isKeyed: boolean;
}

/** Of answers that last. */
const LASTING_TYPES = ['text/event-stream', 'application/jsonl'];

const text = (examples: string[]): object => ({ type: 'string', examples });
const count = { type: 'integer', minimum: 0 };

/** Responses before the rate limit counts the request: authentication, scopes, unreadable requests. */
const UNCOUNTED: ReadonlySet<number> = new Set([401, 403, 408, 413, 415, 417, 431]);
const isCounted = ({ status, isStream }: Answer): boolean => !UNCOUNTED.has(status) && !(isStream && status === 200);

const HEADERS: Readonly<Record<string, Documented>> = {
  'X-Request-Id': {
    description: 'Finds the request in the logs: the one that was sent, or a new one.',
    schema: text(['5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10']),
    isThere: () => true,
  },
  'Cache-Control': {
    description: 'Answers are for now and for this caller.',
    schema: text(['no-store']),
    isThere: () => true,
  },
  'X-RateLimit-Limit': {
    description: 'Requests that the caller may send to this gateway in a minute.',
    schema: count,
    isThere: isCounted,
  },
  'X-RateLimit-Remaining': {
    description: 'How many of them are left.',
    schema: count,
    isThere: isCounted,
  },
  'X-RateLimit-Reset': {
    description: 'Seconds until all of them are there again.',
    schema: count,
    isThere: isCounted,
  },
  'Retry-After': {
    description: 'Seconds after which to ask again.',
    schema: count,
    isThere: ({ status }) => status === 429 || status === 503,
  },
  'WWW-Authenticate': {
    description: 'What is asked for, RFC 6750.',
    schema: text(['Bearer']),
    isThere: ({ status }) => status === 401,
  },
  Location: {
    description: 'Where to go on: the path of the operation or the artefact, or the presigned URL of the archive.',
    schema: { type: 'string', format: 'uri-reference' },
    isThere: ({ status, isUpload }) => isUpload || status === 202 || status === 302,
  },
  ETag: {
    description: 'The SHA-256 in quotes, a strong validator.',
    schema: text(['"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"']),
    isThere: ({ isContent }) => isContent,
  },
  'Idempotency-Replayed': {
    description: '`true`: this Idempotency-Key was sent before, and this is the answer it got.',
    schema: { type: 'string', enum: ['true'] },
    isThere: ({ status, isKeyed }) => isKeyed && (status === 200 || status === 202 || status === 409 || status === 422),
  },
  Deprecation: {
    description: 'Since when it is deprecated, RFC 9745: `@` and seconds since 1970.',
    schema: text(['@1800000000']),
    isThere: ({ isDeprecated }) => isDeprecated,
  },
  Sunset: {
    description: 'From when on it may be gone, RFC 8594: a date of HTTP.',
    schema: text(['Wed, 01 Dec 2027 00:00:00 GMT']),
    isThere: ({ isDeprecated }) => isDeprecated,
  },
  Link: {
    description: 'Where it is written how long things stay: `rel="deprecation"`.',
    schema: text(['</openapi.json>; rel="deprecation"']),
    isThere: ({ isDeprecated }) => isDeprecated,
  },
};

interface DocumentedResponse {
  headers?: Record<string, object>;
  readonly content?: Readonly<Record<string, unknown>>;
}
interface DocumentedOperation {
  readonly deprecated?: boolean;
  readonly parameters?: readonly { readonly name?: string }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, unknown>> };
  readonly responses?: Readonly<Record<string, DocumentedResponse>>;
}
/** As much of the document as is looked at. */
export interface DocumentedPaths {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  components?: { headers?: Record<string, object> };
}

/** Completes the document in place. */
export function describeHeaders(document: DocumentedPaths): void {
  const used = new Set<string>();
  for (const methods of Object.values(document.paths ?? {})) {
    for (const { parameters = [], requestBody, responses = {}, deprecated = false } of Object.values(methods)) {
      const isOfContent = '206' in responses;
      const isKeyed = parameters.some(({ name }) => name === 'idempotency-key');
      for (const [status, response] of Object.entries(responses)) {
        const isStream = LASTING_TYPES.some((type) => response.content !== undefined && type in response.content);
        const isContent = isOfContent && ['200', '206', '304', '412', '416'].includes(status);
        const isUpload = requestBody?.content?.[IMAGE_TYPE] !== undefined && (status === '200' || status === '201');
        const answer: Answer = {
          status: Number(status),
          isStream,
          isKeyed,
          isContent,
          isUpload,
          isDeprecated: deprecated,
        };
        const names = Object.keys(HEADERS).filter((name) => HEADERS[name]?.isThere(answer));
        for (const name of names) used.add(name);
        response.headers = Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
      }
    }
  }
  document.components ??= {};
  // Those of deprecated routes, while there are none, would be components that nothing refers to.
  document.components.headers = Object.fromEntries(
    Object.entries(HEADERS)
      .filter(([name]) => used.has(name))
      .map(([name, { description, schema }]) => [name, { description, schema }]),
  );
}
