/**
 * Liveness and readiness. Probes run on an interval; the endpoints only read what the last round found, so that asking
 * often costs nothing.
 */
import { createServer } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { resolveWithin } from './abort.js';
import { describeError } from './errors.js';
import { closeNow, listen } from './listening.js';

const PROBE_INTERVAL_MS = 1000;
const PROBE_TIMEOUT_MS = 1000;

/**
 * Start the rounds. A probe rejects when what it looks at does not work. `remarks` say what is wrong with something that
 * the service works on without; they are part of the report and make it unready by nothing.
 */
export function startHealth(
  probes: Readonly<Record<string, () => Promise<unknown>>>,
  remarks: Readonly<Record<string, () => string>> = {},
) {
  let report: Record<string, string> = Object.fromEntries(Object.keys(probes).map((name) => [name, 'not probed yet']));
  const probe = async (name: string, run: () => Promise<unknown>): Promise<[string, string]> => {
    const answer = run().then(() => 'ok', describeError);
    return [name, await resolveWithin(answer, PROBE_TIMEOUT_MS, 'no answer in time')];
  };
  let running = false;
  const round = async (): Promise<void> => {
    if (running) return;
    running = true;
    report = Object.fromEntries(await Promise.all(Object.entries(probes).map(([name, run]) => probe(name, run))));
    running = false;
  };
  void round();
  const timer = setInterval(() => void round(), PROBE_INTERVAL_MS);
  return {
    /** Whether every probe succeeded in the last round. */
    ready: (): boolean => Object.values(report).every((state) => state === 'ok'),
    /** Name of each probe and remark, and what is wrong with it, or `ok`. */
    report: (): Readonly<Record<string, string>> => ({
      ...report,
      ...Object.fromEntries(Object.entries(remarks).map(([name, say]) => [name, say()])),
    }),
    stop: (): void => clearInterval(timer),
  };
}
export type Health = ReturnType<typeof startHealth>;

/** One registry a process. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** The small server of a worker: `/livez`, `/readyz`, `/metrics`. Resolves when it listens. */
export async function serveHealth(
  health: Health,
  metrics: Registry,
  address: { readonly host: string; readonly port: number },
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    switch (request.url) {
      case '/livez':
        return send(200, 'application/json', '{"live":true}');
      case '/readyz':
        return send(health.ready() ? 200 : 503, 'application/json', JSON.stringify(health.report()));
      case '/metrics':
        metrics.metrics().then(
          (text) => send(200, metrics.contentType, text),
          (error: unknown) => send(500, 'text/plain', describeError(error)),
        );
        return;
      default:
        return send(404, 'text/plain', 'not here');
    }
  });
  return { port: await listen(server, address.port, address.host), close: () => closeNow(server) };
}
