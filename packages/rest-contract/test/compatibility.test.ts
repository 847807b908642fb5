/** The document of REST keeps what the last release promised. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { BREAKS, type Break } from '../src/compatibility/breaks.js';
import { compareDocuments, type Document, type Operation } from '../src/compatibility/compare-documents.js';
import { COMPARED, type Schema } from '../src/compatibility/compare-schemas.js';

const DOCS = new URL('../../../../docs/', import.meta.url);
const read = (path: string): Document => JSON.parse(readFileSync(new URL(path, DOCS), 'utf8')) as Document;
const changelog = readFileSync(new URL('../CHANGELOG.md', DOCS), 'utf8');

/**
 * Breaks of the release to come that were wanted, by the version before it. Each stands in its part of CHANGELOG.md, in
 * the words of `told`; with the release the list begins anew, empty.
 */
const WANTED: readonly {
  readonly since: string;
  readonly what: Break;
  readonly where: RegExp;
  readonly told: RegExp;
}[] = [
  {
    since: '0.1.0',
    what: 'answer_member_optional',
    where: /^#\/components\/schemas\/Problem\/detail$/,
    told: /`detail` is\s+absent where it repeated `title`/,
  },
  {
    since: '0.1.0',
    what: 'request_value_removed',
    where: /^GET \/v1\/(operations|stations\/\{stationId\}\/(firmware-updates|log-uploads)) query status$/,
    told: /`status` of lists must be one of the known ones/,
  },
  // That of an installation, which had none: it tells `percent`.
  {
    since: '0.1.0',
    what: 'answer_member_optional',
    where: /^#\/components\/schemas\/Progress\/bytes$/,
    told: /progress/,
  },
  // The same stream: what was a text for generators has the schemas of its events.
  {
    since: '0.1.0',
    what: 'answer_type_changed',
    where: /^GET \/v1\/events 200 text\/event-stream$/,
    told: /Events are schemas now/,
  },
];

void t.test('every release has its document', async (t) => {
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+)$/gm)].map(([, version]) => version);
  t.ok(released.length > 0);
  const kept = readdirSync(new URL('releases/', DOCS)).map((name) => /^openapi-(.+)\.json$/.exec(name)?.[1]);
  t.strictSame(new Set(kept), new Set(released));
});

void t.test('nothing that the last release promised is broken, but what the changelog tells', async (t) => {
  const last = /^## (\d+\.\d+\.\d+)$/m.exec(changelog)?.[1] ?? '';
  const wanted = WANTED.filter(({ since }) => since === last);
  const found = compareDocuments(read(`releases/openapi-${last}.json`), read('openapi.json'), new Date());
  const isWanted = ({ what, where }: { what: Break; where: string }): boolean =>
    wanted.some((one) => one.what === what && one.where.test(where));
  t.strictSame(
    found.filter((one) => !isWanted(one)),
    [],
  );
  for (const { what, where, told } of wanted) {
    t.ok(
      found.some((one) => one.what === what && where.test(one.where)),
      `${where} is still one`,
    );
    t.match(changelog, told);
  }
});

const ANSWER = {
  200: {
    headers: { ETag: {} },
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } },
  },
};
const Thing = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    size: { type: 'integer' },
    state: { enum: ['on', 'off'] },
    parts: { type: 'array', items: { type: 'string' } },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
  },
} as const;
/** A map. */
const LABELS = { type: 'object', additionalProperties: { type: 'string', maxLength: 63 } } as const;
const Order = {
  type: 'object',
  additionalProperties: false,
  properties: {
    kind: { enum: ['a', 'b'] },
    times: { type: 'integer', minimum: 0, maximum: 9 },
    text: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
    names: { type: 'array', items: { type: 'string' } },
    labels: LABELS,
  },
} as const;
const PUT: Operation = {
  operationId: 'putThing',
  description: 'Puts. Needs the scope `operate`.',
  parameters: [{ name: 'dry', in: 'query', schema: { type: 'boolean' } }],
  requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } } },
  responses: ANSWER,
};
const documentOf = (put: Operation | undefined, thing: Schema = Thing, order: Schema = Order): Document => ({
  paths: { '/things': put ? { put } : {} },
  components: { schemas: { Thing: thing, Order: order } },
});
const BEFORE = documentOf(PUT);
const withMember = (schema: typeof Thing | typeof Order, name: string, member: Schema | undefined): Schema => {
  const { [name]: _gone, ...rest } = schema.properties as Record<string, Schema>;
  return { ...schema, properties: member ? { ...rest, [name]: member } : rest };
};
const ofThing = (name: string, member: Schema | undefined): Document =>
  documentOf(PUT, withMember(Thing, name, member));
const ofOrder = (name: string, member: Schema | undefined): Document =>
  documentOf(PUT, Thing, withMember(Order, name, member));
const put = (more: object): Document => documentOf({ ...PUT, ...more });

const BROKEN: Record<Break, readonly Document[]> = {
  operation_removed: [documentOf(undefined)],
  operation_renamed: [put({ operationId: 'setThing' })],
  scope_raised: [put({ description: 'Puts. Needs the scope `admin`.' })],
  parameter_removed: [put({ parameters: [] })],
  parameter_required: [
    put({ parameters: [{ ...PUT.parameters?.[0], required: true }] }),
    put({ parameters: [...(PUT.parameters ?? []), { name: 'new', in: 'query', required: true }] }),
  ],
  body_required: [put({ requestBody: { ...PUT.requestBody, required: true } })],
  request_type_removed: [
    put({ requestBody: { content: { 'text/plain': {} } } }),
    ofOrder('times', { type: 'string' }),
    ofOrder('text', { type: 'string' }),
    ofOrder('labels', { type: 'object', additionalProperties: { type: 'integer' } }),
    ofOrder('labels', { ...LABELS, properties: { site: { type: 'integer' } } }),
  ],
  request_value_removed: [ofOrder('kind', { enum: ['a'] }), ofOrder('times', { type: 'integer', enum: [1] })],
  request_bound_tightened: [
    ofOrder('times', { type: 'integer', minimum: 1, maximum: 9 }),
    ofOrder('times', { type: 'integer', minimum: 0, maximum: 8 }),
    ofOrder('labels', { type: 'object', additionalProperties: { type: 'string', maxLength: 62 } }),
    ofOrder('names', { type: 'array', items: { type: 'string' }, uniqueItems: true }),
  ],
  request_member_removed: [
    ofOrder('kind', undefined),
    ofOrder('labels', { type: 'object', additionalProperties: false }),
  ],
  request_member_required: [documentOf(PUT, Thing, { ...Order, required: ['kind'] })],
  answer_removed: [put({ responses: { 201: {} } }), put({ responses: { 200: { ...ANSWER[200], content: {} } } })],
  answer_header_removed: [put({ responses: { 200: { ...ANSWER[200], headers: {} } } })],
  answer_type_changed: [
    ofThing('size', { type: ['integer', 'null'] }),
    ofThing('parts', { type: 'array', items: { type: 'integer' } }),
    ofThing('size', { anyOf: [{ type: 'integer' }, { type: 'string' }] }),
    ofThing('labels', { type: 'object', additionalProperties: { type: ['string', 'null'] } }),
    ofThing('labels', { type: 'object' }),
    ofThing('labels', { ...LABELS, properties: { floor: { type: 'integer' } } }),
  ],
  answer_member_removed: [
    ofThing('size', undefined),
    ofThing('labels', { type: 'object', additionalProperties: false }),
  ],
  answer_member_optional: [documentOf(PUT, { ...Thing, required: [] })],
  answer_value_removed: [ofThing('state', { enum: ['on'] })],
};

/** Of a schema they promise nothing to a caller. */
const ANNOTATIONS = ['description', 'title', 'examples', 'default', 'deprecated', 'discriminator'];

void t.test('the comparison knows every word that the document has for values', async (t) => {
  const unknown = new Set<string>();
  const look = (schema: Schema): void => {
    for (const word of Object.keys(schema)) if (!COMPARED.has(word) && !ANNOTATIONS.includes(word)) unknown.add(word);
    const { properties = {}, items, additionalProperties, anyOf = [], oneOf = [] } = schema;
    const inside = [...Object.values(properties), ...anyOf, ...oneOf];
    for (const one of [...inside, items, additionalProperties]) if (typeof one === 'object') look(one);
  };
  const find = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (name === 'schema') look(member as Schema);
      else find(member);
    }
  };
  const { paths, components } = read('openapi.json');
  find(paths);
  for (const schema of Object.values(components?.schemas ?? {})) look(schema);
  t.strictSame([...unknown], []);
});

void t.test('each break is seen', async (t) => {
  t.strictSame(Object.keys(BROKEN), Object.keys(BREAKS));
  for (const [what, documents] of Object.entries(BROKEN)) {
    for (const [at, broken] of documents.entries()) {
      const found = compareDocuments(BEFORE, broken, new Date());
      t.ok(
        found.some((one) => one.what === what),
        `${what} ${at}: ${JSON.stringify(found)}`,
      );
    }
  }
});

void t.test('what may change is no break', async (t) => {
  const allowed: readonly Document[] = [
    BEFORE,
    { ...BEFORE, paths: { ...BEFORE.paths, '/others': { get: PUT } } },
    put({ description: 'Needs the scope `read`.' }),
    put({ parameters: [...(PUT.parameters ?? []), { name: 'new', in: 'query' }] }),
    put({ responses: { ...ANSWER, 409: {} } }),
    put({ responses: { 200: { ...ANSWER[200], headers: { etag: {}, Age: {} } } } }),
    ofThing('colour', { type: 'string' }),
    ofThing('labels', { ...LABELS, properties: { site: { enum: ['north'] } } }),
    ofThing('state', { enum: ['on', 'off', 'broken'] }),
    documentOf(PUT, { ...Thing, required: ['name', 'size'] }),
    ofOrder('colour', { type: 'string' }),
    ofOrder('kind', { enum: ['a', 'b', 'c'] }),
    ofOrder('times', { type: 'number', minimum: -1, maximum: 10 }),
    ofOrder('labels', { type: 'object', additionalProperties: { type: ['string', 'null'], maxLength: 64 } }),
    ofOrder('labels', { type: 'object' }),
    ofOrder('text', { anyOf: [{ type: 'integer' }, { type: 'boolean' }, { type: 'string' }] }),
  ];
  for (const after of allowed)
    t.strictSame(compareDocuments(BEFORE, after, new Date()), [], JSON.stringify(after.paths));
});

void t.test('what was deprecated may be gone once its Sunset is over, and not before', async (t) => {
  const deprecated = put({ deprecated: true, 'x-sunset': '2027-06-01T00:00:00Z' });
  const gone = documentOf(undefined);
  t.strictSame(compareDocuments(deprecated, gone, new Date('2027-06-02T00:00:00Z')), []);
  t.match(compareDocuments(deprecated, gone, new Date('2027-05-31T00:00:00Z')), [{ what: 'operation_removed' }]);
});
