/** Requests made from the OpenAPI document, good and bad, to every route of REST. Seeded. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { type Depot, startDepot } from '../depot/depot.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { createAnswerCheck, type Document, type Route, resolverOf, routesOf } from '../rest-fuzz/document.js';
import { type Answer, exchange } from '../rest-fuzz/exchange.js';
import { createRequests, type Known, type Request } from '../rest-fuzz/requests.js';

const CALLS = { short: 600, long: 20_000 } as const;
/** As many as a gateway reads for at once: more would be told that it is busy, which is no fault. */
const LANES = 2;
/** Twice what a request may wait for its turn. */
const PATIENCE_MS = 60_000;
const KEYS = { admin: 'fuzz-admin-key-0123456789', read: 'fuzz-read-key-0123456789' } as const;
const STATIONS = ['cs-1', 'cs-2', 'cs-3', 'long/ünd #?'] as const;
const MOST_KNOWN = 200;
/** `Retry-After` of a 503, and how often it is heeded. */
const ASK_AGAIN_MS = 1000;
const MOST_ASKED = 30;

function remember(known: Known, { text, type }: Answer): void {
  if (!type.includes('json')) return;
  const keep = (list: string[], found: readonly string[]): void => {
    for (const one of found) if (list.length < MOST_KNOWN && !list.includes(one)) list.push(one);
  };
  const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, found = '']) => found);
  keep(known.operations, all(/"operationId":"([^"]+)"/g));
  keep(known.artifacts, all(/"sha256":"([0-9a-f]{64})"/g));
  keep(known.webhooks, all(/"id":"(wh_[0-9a-f]{12})"/g));
  keep(known.messages, all(/"id":"(wh_[0-9a-f]{12}\.[^"]+)"/g));
}

const told = ({ method, path, headers, body }: Request): string => {
  const { authorization: _secret, ...rest } = headers;
  return `${method} ${path.slice(0, 300)} ${JSON.stringify(rest)} ${body?.toString('utf8').slice(0, 300) ?? ''}`;
};

/** What is wrong with an answer; `undefined`: nothing. */
function faultOf(
  check: ReturnType<typeof createAnswerCheck>,
  route: Route,
  { isElsewhere }: Request,
  { status, type, text }: Answer,
): string | undefined {
  if (status >= 500) return `${status} ${text.slice(0, 300)}`;
  const isProblem = type.startsWith('application/problem+json');
  if (status >= 400 && !isProblem) return `${status} as ${type}: ${text.slice(0, 300)}`;
  // Before there is a route: the address cannot be read.
  if (isElsewhere || (status === 400 && text.includes('"PARAMETER_INVALID"'))) return undefined;
  return check(route, status, type, text);
}

/** "Ask again": a machine that is busy, a station that reboots, may say so for a while, and not for ever. */
async function patientExchange(baseUrl: string, agent: Agent, request: Request): Promise<Answer> {
  for (let times = 1; ; times += 1) {
    const answer = await exchange(baseUrl, agent, request, PATIENCE_MS);
    const isBusy =
      answer.status === 503 &&
      /"code":"(NOT_STORED|READS_BUSY|WORKERS_GONE|STATION_UNREACHABLE|CERTIFICATE_NOT_JUDGED|OBJECT_STORE_UNREACHABLE|ARTIFACT_STORE_UNREACHABLE|TOO_MANY_SUBSCRIBERS)"/.test(
        answer.text,
      );
    if (!isBusy || times === MOST_ASKED) return answer;
    await delay(ASK_AGAIN_MS);
  }
}

async function openDepot(context: ExperimentContext): Promise<Depot> {
  const keysFile = join(context.dir, 'keys-of-fuzz.json');
  const keys = Object.entries(KEYS).map(([scope, key]) => ({
    name: scope,
    sha256: createHash('sha256').update(key).digest('hex'),
    scopes: [scope],
  }));
  writeFileSync(keysFile, JSON.stringify(keys));
  return startDepot(context, {
    dir: join(context.dir, 'depot'),
    services: ['gateway-1', 'ota-worker-1', 'log-worker-1', 'system-control-1'],
    stations: Object.fromEntries(STATIONS.map((name) => [name, {}])),
    unknownStations: 'refuse',
    env: { MIN_FIRMWARE_BYTES: '1' },
    envOf: { 'gateway-1': { API_KEYS_FILE: keysFile } },
  });
}

export const restInput: Experiment = {
  name: 'rest-input',
  promise:
    'Whatever is asked of whatever route of REST, it is answered in time, with a status, a type and members that the OpenAPI document has, and never with 5xx; no process crashes.',
  async run(context) {
    const depot = await openDepot(context);
    await depot.leader();
    const baseUrl = depot.httpUrls[0] ?? '';
    const agent = new Agent({ keepAlive: true, maxSockets: LANES + 1 });
    context.teardown(async () => agent.destroy());
    const document = (await (await depot.fetch('/openapi.json')).json()) as Document;
    const routes = routesOf(document);
    const check = createAnswerCheck(document);
    const known: Known = {
      stations: [...STATIONS, 'nobody'],
      operations: [],
      artifacts: [],
      webhooks: [],
      messages: [],
      eventIds: ['0-0'],
    };
    const requestAt = createRequests(context.random.fork('requests'), routes, resolverOf(document), known, KEYS);
    const calls = context.cases ?? CALLS[context.effort];
    const statuses = new Map<number, number>();
    const succeeded = new Set<string>();
    const faults = new Map<string, string[]>();
    let slowest = 0;
    let next = 0;

    const call = async (index: number): Promise<void> => {
      const { route, request } = requestAt(index);
      const name = `${route.method} ${route.path}`;
      let fault: string | undefined;
      try {
        const answer = await patientExchange(baseUrl, agent, request);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status < 400) succeeded.add(name);
        slowest = Math.max(slowest, answer.ms);
        remember(known, answer);
        fault = faultOf(check, route, request, answer);
      } catch (error) {
        fault = hasCode(error, 'HANGS') ? 'no answer' : describeError(error);
      }
      if (fault !== undefined)
        faults.set(name, [...(faults.get(name) ?? []), `call ${index}: ${told(request)}: ${fault}`]);
    };
    const lane = async (): Promise<void> => {
      while (next < calls) {
        const index = next;
        next += 1;
        if (index > 0 && index % 2000 === 0) context.say(`${index} calls`);
        await call(index);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));

    for (const { method, path } of routes)
      judge(context, `${method} ${path}`, (faults.get(`${method} ${path}`) ?? []).slice(0, 3));
    const alive = await exchange(
      baseUrl,
      agent,
      { method: 'GET', path: '/v1/stations', headers: { authorization: `Bearer ${KEYS.admin}` } },
      PATIENCE_MS,
    );
    judge(
      context,
      'a good request is answered afterwards',
      alive.status === 200 ? [] : [`${alive.status} ${alive.text}`],
    );
    const dead = depot.services.filter((service) => depot.process(service).deaths > 0);
    judge(
      context,
      'nobody crashed',
      dead.map((service) => `${service} died: ${depot.process(service).output().slice(-800)}`),
    );
    context.figure('calls', String(calls));
    const byStatus = [...statuses].sort(([a], [b]) => a - b);
    context.figure('answers', byStatus.map(([status, count]) => `${count} x ${status}`).join(', '));
    context.figure('routes that answered with success', `${succeeded.size} of ${routes.length}`);
    context.figure('slowest answer', `${slowest.toFixed(0)} ms`);
    await depot.stop();
  },
};
