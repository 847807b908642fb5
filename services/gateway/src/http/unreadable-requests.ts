/** Errors of Node.js's HTTP parser, before there is a request that could be routed: sent as problems too. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { Problem, problemBody } from './problems.js';

const CODE_OF_PARSER: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'BODY_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};

/** Pure. `undefined`: the client has disconnected. */
function problemOfParser({ code = '' }: { readonly code?: string }): Problem | undefined {
  const known = CODE_OF_PARSER[code];
  if (known) return new Problem(known);
  // Words of the parser such as HPE_INVALID_METHOD; they repeat nothing of what was sent.
  return code.startsWith('HPE_')
    ? new Problem('REQUEST_MALFORMED', `The parser stopped: ${code.slice(4).toLowerCase().replaceAll('_', ' ')}.`)
    : undefined;
}

/** Headers of every answer that no hook of Fastify sees. */
const bareHeaders = (requestId: string): Readonly<Record<string, string>> => ({
  'content-type': 'application/problem+json; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-request-id': requestId,
  connection: 'close',
});

/** The whole answer, as it goes on the wire. */
function bareAnswer(problem: Problem): string {
  const body = problemBody(problem, '');
  const text = JSON.stringify(body);
  const headers = {
    ...bareHeaders(randomUUID()),
    date: new Date().toUTCString(),
    'content-length': String(Buffer.byteLength(text)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status]}\r\n${lines.join('')}\r\n${text}`;
}

/**
 * Answers and ends the connection. An answer that is owed for a request before it goes out first: what is wrong is not
 * taken for it. Where an answer has begun nothing can be said any more. `answering`: the answers a connection waits for.
 */
export function createUnreadable(
  answering: (socket: Socket) => readonly ServerResponse[],
  onAnswered: (status: number) => void,
) {
  const refused = new WeakSet<Socket>();
  const end = (socket: Socket, problem: Problem): void => {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    onAnswered(problemBody(problem, '').status);
    socket.write(bareAnswer(problem));
    socket.destroySoon();
  };
  const refuse = (socket: Socket, problem: Problem | undefined): void => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const owed = answering(socket);
    const whole = owed.filter(({ req, headersSent, writableEnded }) => req.complete && (!headersSent || writableEnded));
    const begun = owed.some(({ req, headersSent, writableEnded }) => headersSent && (!req.complete || !writableEnded));
    if (!problem || begun) socket.destroy();
    else if (whole.length === 0) end(socket, problem);
    else whole.at(-1)?.once('close', () => end(socket, problem));
  };
  return {
    onParserError: (error: { readonly code?: string }, socket: Socket): void => refuse(socket, problemOfParser(error)),
    onLate: (socket: Socket): void => refuse(socket, new Problem('REQUEST_TIMEOUT')),
    /** `Expect` with anything but 100-continue, RFC 9110, 10.1.1. */
    onExpectation: ({ socket }: IncomingMessage, response: ServerResponse): void => {
      // What the parser finds in its body is answered with this already.
      refused.add(socket);
      const body = problemBody(new Problem('EXPECTATION_UNKNOWN'), '');
      onAnswered(body.status);
      const text = JSON.stringify(body);
      const headers = { ...bareHeaders(randomUUID()), 'content-length': Buffer.byteLength(text) };
      response.writeHead(body.status, headers).end(text);
    },
    /** CONNECT: this is no proxy. */
    onConnect: (_request: IncomingMessage, socket: Socket): void =>
      end(socket, new Problem('REQUEST_MALFORMED', 'CONNECT is not served: this is no proxy.')),
  };
}
