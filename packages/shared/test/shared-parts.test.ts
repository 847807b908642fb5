import { Ajv } from 'ajv';
import t from 'tap';
import { withSharedParts } from '../src/contract/shared-parts.js';
import { StationsFile } from '../src/stations/stations-file.js';

const description = 'long enough to be worth a definition of its own, '.repeat(5);
const limits = {
  type: 'object',
  properties: { seconds: { type: 'integer', minimum: 1 } },
  required: ['seconds'],
  description,
};
const name = { type: 'string', minLength: 2, description };

void t.test('what is there more than once becomes one definition, wherever a schema may stand', async (t) => {
  const places = {
    properties: { limits, list: { type: 'array', items: limits }, names: { type: 'array', items: [name, limits] } },
    patternProperties: { '^x-': name },
    additionalProperties: name,
    allOf: [{ if: { required: ['a'] }, else: limits }],
  };
  const shared = withSharedParts(places);
  const [first, second] = [{ $ref: '#/definitions/part1' }, { $ref: '#/definitions/part2' }];
  t.same(shared, {
    properties: {
      limits: first,
      list: { type: 'array', items: first },
      names: { type: 'array', items: [second, first] },
    },
    patternProperties: { '^x-': second },
    additionalProperties: second,
    allOf: [{ if: { required: ['a'] }, else: first }],
    definitions: { part1: limits, part2: name },
  });
});

void t.test('what is no schema stays where it is, though it looks the same', async (t) => {
  const again = { default: limits, enum: [limits], const: limits };
  const named = { properties: { type: 'object', limits: { properties: limits.properties } } };
  for (const schema of [
    again,
    named,
    { properties: { a: limits } },
    { $ref: '#/definitions/a', allOf: [limits, limits] },
  ])
    t.equal(withSharedParts(schema), schema, JSON.stringify(schema).slice(0, 40));
});

void t.test('a part in a part is shared too', async (t) => {
  const outer = { type: 'object', properties: { limits, other: { type: 'boolean' } }, description };
  const shared = withSharedParts({ properties: { a: outer, b: outer, c: limits } });
  t.same(shared.properties, {
    a: { $ref: '#/definitions/part1' },
    b: { $ref: '#/definitions/part1' },
    c: { $ref: '#/definitions/part2' },
  });
  t.match(shared.definitions, { part1: { properties: { limits: { $ref: '#/definitions/part2' } } }, part2: limits });
});

void t.test('the stations file is judged by the same rules, and what is told first is the same', async (t) => {
  const schema = JSON.parse(JSON.stringify(StationsFile)) as object;
  const ajv = new Ajv({ strict: false, strictNumbers: true });
  const [plain, shared] = [
    ajv.compile({ ...schema, $id: 'plain' }),
    ajv.compile({ ...withSharedParts(schema as Record<string, unknown>), $id: 'shared' }),
  ];
  const files: unknown[] = [
    {},
    { stations: { a: { driver: 'simulated' } } },
    { stations: { a: { driver: 'none' } } },
    { stations: { a: { driver: { profile: 'rauc', limits: { command_s: 'soon' } } } } },
    { defaults: { driver: { profile: 'swupdate', swupdate: { anything: 1 } } }, stations: {} },
    { defaults: { driver: { logs: { DiagnosticsLog: [{ name: '-' }] } } } },
    { unknown_stations: 'maybe' },
  ];
  const place = ({ instancePath, keyword, params }: { instancePath: string; keyword: string; params: object }) => ({
    instancePath,
    keyword,
    params,
  });
  for (const file of files) {
    t.equal(shared(file), plain(file), JSON.stringify(file));
    const [first, wanted] = [shared.errors?.[0], plain.errors?.[0]];
    t.same(first && place(first), wanted && place(wanted), JSON.stringify(file));
  }
});
