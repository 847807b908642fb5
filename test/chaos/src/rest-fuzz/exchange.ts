/** One request over a real connection, and its answer; of a stream that goes on, its head. */
import { type Agent, request as send } from 'node:http';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Request } from './requests.js';

/** Media types of answers that go on: events, and logs that are followed. */
const STREAMS: ReadonlySet<string> = new Set(['text/event-stream', 'application/jsonl', 'text/plain']);

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly ms: number;
}

/** Rejects with `HANGS` when there is no whole answer in time, else as the connection does. */
export function exchange(baseUrl: string, agent: Agent, request: Request, patienceMs: number): Promise<Answer> {
  const { method, path, headers, body } = request;
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = send(new URL(baseUrl), { agent, method, path, headers, signal: AbortSignal.timeout(patienceMs) });
    outgoing.on('error', (error: Error & { code?: string }) => {
      const isLate = error.name === 'AbortError' || error.name === 'TimeoutError' || error.code === 'ABORT_ERR';
      reject(isLate ? new CodedError('HANGS', `no answer within ${patienceMs} ms`) : error);
    });
    outgoing.on('response', (response) => {
      const type = response.headers['content-type'] ?? '';
      const end = (text: string): void =>
        resolve({ status: response.statusCode ?? 0, type, text, ms: performance.now() - began });
      if (STREAMS.has(type.split(';', 1)[0] ?? '')) {
        response.destroy();
        end('');
        return;
      }
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => end(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    outgoing.end(body);
  });
}
