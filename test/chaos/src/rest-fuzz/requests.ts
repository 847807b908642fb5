/** One request after the other for every route of the document: good ones, and good ones that something was done to. */
import type { Random } from '../random.js';
import type { Parameter, Route, Schema } from './document.js';
import { createValues, type Values } from './values.js';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Something was done to its path: it may lead to no route, or to another one. */
  readonly isElsewhere?: true;
}

/** What earlier answers have named. */
export interface Known {
  readonly stations: readonly string[];
  readonly operations: string[];
  readonly artifacts: string[];
  readonly webhooks: string[];
  /** Of messages to webhooks. */
  readonly messages: string[];
  readonly eventIds: string[];
}

export interface Keys {
  readonly admin: string;
  readonly read: string;
}

const RANGES = [
  'bytes=0-9',
  'bytes=-1',
  'bytes=9-0',
  'bytes=0-0,2-3',
  'bytes=99999999999999999999-',
  'items=0-1',
  'bytes=',
  `bytes=${'0-1,'.repeat(100)}2-3`,
];
const TAGS = ['*', '""', 'W/"x"', '"x"', 'x', `"${'0'.repeat(64)}"`];
const ODD_HEADERS: Readonly<Record<string, readonly string[]>> = {
  range: RANGES,
  'if-range': [...TAGS, 'Sat, 01 Jan 2028 00:00:00 GMT'],
  'if-match': TAGS,
  'if-none-match': TAGS,
  'if-modified-since': ['Sat, 01 Jan 2028 00:00:00 GMT', 'soon'],
  accept: ['application/json', 'text/plain', 'text/event-stream', '*/*;q=0', 'x'],
  'accept-encoding': ['gzip', 'br;q=1', '*'],
  'x-request-id': ['mine-1', 'x'.repeat(200), '{}'],
  'x-csrf-token': ['x'],
  cookie: ['khumbu_session=x', '=', ';;', 'khumbu_session=%'],
  'last-event-id': ['0-0', '1-1', '99999999999999-0', 'x', '-', '18446744073709551616-0'],
  'idempotency-key': ['a', 'b', 'c', 'x'.repeat(256), '{}'],
  'content-encoding': ['gzip', 'identity'],
  expect: ['200-ok'],
  'transfer-encoding': ['identity'],
};
const TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=latin1',
  'text/plain',
  'application/octet-stream',
  'multipart/form-data; boundary=x',
  'x',
  '',
];
const ENDS = ['/', '%2f', '/..', '%zz', '//', ';a=b'];
const BROKEN_BODIES = [
  '',
  '{',
  '{"a":',
  '[]',
  'null',
  '"x"',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '\ufeff{}',
  '{"a":1,"a":2}',
  '{}{}',
  `${'['.repeat(5000)}`,
  `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
];

/** What node:http would refuse to send. */
const sendable = (text: string): string => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');

export function createRequests(
  random: Random,
  routes: readonly Route[],
  resolve: (schema: Schema) => Schema,
  known: Known,
  keys: Keys,
): (index: number) => { readonly route: Route; readonly request: Request } {
  const values = createValues(random, resolve);

  function pathValue({ name, schema }: Parameter): string {
    const odd = (): string => (random.chance(0.5) ? values.text() : values.wild().slice(0, 400));
    const among = (all: readonly string[]): string =>
      all.length > 0 && random.chance(0.85) ? random.pick(all) : odd();
    if (name === 'stationId') return among(known.stations);
    if (name === 'operationId') return among(known.operations);
    if (name === 'webhookId') return among(known.webhooks);
    if (name === 'deliveryId') return among(known.messages);
    if (name === 'sha256') return random.chance(0.7) ? among(known.artifacts) : String(values.fitting(schema, name));
    return random.chance(0.7) ? String(values.fitting(schema, name)) : odd();
  }

  /** A station or operation elsewhere than in the path, too. */
  function parameterValue({ name, schema }: Parameter): string {
    if (name === 'station' && random.chance(0.7)) return random.pick(known.stations);
    if (name === 'last-event-id' && known.eventIds.length > 0 && random.chance(0.5)) return random.pick(known.eventIds);
    const value = random.chance(0.75) ? values.fitting(schema, name) : values.wild();
    return typeof value === 'string' ? value : JSON.stringify(value);
  }

  function query(parameters: readonly Parameter[]): string {
    const parts = parameters
      .filter(({ in: place, required }) => place === 'query' && (required || random.chance(0.4)))
      .flatMap((one) => Array.from({ length: random.chance(0.1) ? 3 : 1 }, () => [one.name, parameterValue(one)]));
    if (random.chance(0.05)) parts.push([values.text(), values.text()]);
    const text = parts.map(([name = '', value = '']) => `${encodeText(name)}=${encodeText(value)}`).join('&');
    if (random.chance(0.02)) return `?${text}&%zz=%&=&&`;
    return text === '' ? '' : `?${text}`;
  }

  function pathOf({ path, parameters }: Route): string {
    const filled = path.replace(/\{([^}]+)\}/g, (_all, name: string) => {
      const parameter = parameters.find((one) => one.in === 'path' && one.name === name);
      return encodeText(parameter ? pathValue(parameter) : values.text());
    });
    return filled;
  }

  function authorization(): Record<string, string> {
    if (random.chance(0.95)) return { authorization: `Bearer ${keys.admin}` };
    const odd = [
      `Bearer ${keys.read}`,
      'Bearer',
      'Bearer x.y.z',
      'Basic eDp5',
      `bearer ${keys.admin}`,
      'Bearer eyJhbGciOiJub25lIn0.e30.',
    ];
    return random.chance(0.3) ? {} : { authorization: random.pick(odd) };
  }

  function headersOf({ parameters }: Route): Record<string, string> {
    const headers: Record<string, string> = authorization();
    for (const one of parameters) {
      if (one.in === 'header' && random.chance(0.4)) headers[one.name] = sendable(parameterValue(one));
    }
    for (const [name, odd] of Object.entries(ODD_HEADERS)) if (random.chance(0.01)) headers[name] = random.pick(odd);
    return headers;
  }

  return (index) => {
    const route = routes[index % routes.length];
    if (!route) throw new TypeError('the document has no routes');
    const headers = headersOf(route);
    const body = bodyOf(random, values, route);
    if (body) {
      headers['content-type'] = body.type;
      headers['content-length'] = String(body.bytes.length);
      delete headers['transfer-encoding'];
    }
    const elsewhere = random.chance(0.01) ? random.pick(ENDS) : undefined;
    const request: Request = {
      method: route.method,
      path: `${pathOf(route)}${elsewhere ?? ''}${query(route.parameters)}`,
      headers,
      ...(body ? { body: body.bytes } : {}),
      ...(elsewhere === undefined ? {} : { isElsewhere: true }),
    };
    return { route, request };
  };
}

/** Lone surrogates have no UTF-8. */
const encodeText = (text: string): string => encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));

function bodyOf(random: Random, values: Values, { method, body }: Route): { type: string; bytes: Buffer } | undefined {
  const odd = (): { type: string; bytes: Buffer } => ({
    type: random.chance(0.5) ? 'application/json' : random.pick(TYPES),
    bytes: Buffer.from(random.chance(0.7) ? random.pick(BROKEN_BODIES) : values.wild()),
  });
  if (!body) return method !== 'GET' && random.chance(0.1) ? odd() : undefined;
  if (random.chance(0.02)) return undefined;
  const [type, content] = random.pick(Object.entries(body));
  if (!type.includes('json')) {
    const bytes = Buffer.from(Array.from({ length: random.pick([0, 1, 100, 5000]) }, () => random.between(0, 255)));
    return { type: random.chance(0.8) ? type : random.pick(TYPES), bytes };
  }
  if (random.chance(0.1)) return odd();
  if (random.chance(0.01)) return { type, bytes: Buffer.from(JSON.stringify({ x: 'x'.repeat(70_000) })) };
  const order = values.fitting(content?.schema ?? {});
  return { type, bytes: Buffer.from(random.chance(0.5) ? JSON.stringify(order) : mutated(random, values, order)) };
}

/** JSON text of the order with one thing done to it. */
function mutated(random: Random, values: Values, order: unknown): string {
  const text = JSON.stringify(order);
  if (typeof order !== 'object' || order === null) return values.wild();
  const names = Object.keys(order);
  const [name] = names.length > 0 ? [random.pick(names)] : ['x'];
  const rest = Object.fromEntries(Object.entries(order).filter(([one]) => one !== name));
  const withRaw = (member: string, raw: string): string => {
    const others = JSON.stringify(rest).slice(1, -1);
    return `{${others}${others === '' ? '' : ','}${JSON.stringify(member)}:${raw}}`;
  };
  switch (random.between(0, 4)) {
    case 0:
      return JSON.stringify(rest);
    case 1:
      return withRaw(name ?? 'x', values.wild());
    case 2:
      return withRaw(values.text(), values.wild());
    case 3:
      return text.slice(0, random.between(0, text.length));
    default:
      return withRaw(
        name ?? 'x',
        JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (_none, at) => [at, null]))),
      );
  }
}
