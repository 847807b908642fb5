/** What will go is said in its answers and in the document, a year before at least. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { compareDocuments } from '@khumbu/rest-contract/compatibility/compare-documents';
import { ProblemSchema } from '@khumbu/rest-contract/problem';
import Fastify from 'fastify';
import t from 'tap';
import { Type } from 'typebox';
import { addSchemas } from '../src/http/contract-schemas.js';
import { type Deprecation, tellDeprecations } from '../src/http/deprecation.js';
import { documentRoutes } from '../src/http/openapi.js';
import { answers, describeRoute } from '../src/http/routing.js';

type Documents = Parameters<typeof compareDocuments>;

async function open(deprecation?: Deprecation) {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>();
  t.teardown(() => app.close());
  tellDeprecations(app);
  addSchemas(app, [ProblemSchema]);
  await documentRoutes(app);
  const route = describeRoute({
    id: 'getOld',
    tag: 'depot',
    scope: 'read',
    summary: 'Old',
    description: 'As it was.',
    success: answers(200, 'It.', Type.Object({ it: Type.String() })),
    ...(deprecation ? { deprecation } : {}),
    takes: {},
  });
  app.get('/v1/old', route, async () => ({ it: 'works' }));
  await app.ready();
  return app;
}

await t.test('its answers say since when, and from when on it may be gone', async (t) => {
  const deprecation = { since: '2027-01-01T00:00:00Z', sunset: '2028-01-01T00:00:00Z', instead: 'use /v1/new.' };
  const app = await open(deprecation);
  const { headers, body } = await app.inject('/v1/old');
  t.equal(body, '{"it":"works"}');
  t.match(headers, {
    deprecation: '@1798761600',
    sunset: 'Sat, 01 Jan 2028 00:00:00 GMT',
    link: '</openapi.json>; rel="deprecation"',
  });
  const document = app.swagger() as unknown as Documents[0];
  const described = document.paths['/v1/old']?.get;
  t.match(described, { deprecated: true, 'x-sunset': deprecation.sunset, description: /^Deprecated: use \/v1\/new\./ });
  t.match(described?.responses?.['200']?.headers, { Deprecation: {}, Sunset: {}, Link: {} });
  const gone = { ...document, paths: {} };
  t.strictSame(compareDocuments(document, gone, new Date('2028-01-02T00:00:00Z')), []);
  t.equal(compareDocuments(document, gone, new Date('2027-12-31T00:00:00Z')).length, 1);
});

await t.test('nothing is said of what stays', async (t) => {
  const app = await open();
  const { headers } = await app.inject('/v1/old');
  for (const name of ['deprecation', 'sunset', 'link']) t.notOk(name in headers, name);
});

await t.test('less than a year is refused at the start', async (t) => {
  const soon = { since: '2027-01-01T00:00:00Z', sunset: '2027-03-01T00:00:00Z', instead: 'use /v1/new.' };
  await t.rejects(open(soon), /is not a year after/);
  await t.rejects(open({ ...soon, sunset: 'some day' }), /is not a year after/);
});
