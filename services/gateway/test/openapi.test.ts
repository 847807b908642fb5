import { readFileSync } from 'node:fs';
import { PROBLEMS } from '@khumbu/rest-contract/problem-codes';
import { startRedis } from '@khumbu/test-support/redis';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import t from 'tap';
import { type Json, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
const document = (await rest.call('GET', '/openapi.json', { key: null })).body;

void t.test('the document is OpenAPI 3.1 and passes a linter', async (t) => {
  t.equal(document.openapi, '3.1.0');
  const config = await createConfig({
    extends: ['recommended'],
    // The archive is a redirect and nothing else.
    rules: { 'operation-2xx-response': 'off' },
  });
  const problems = await lintFromString({ source: JSON.stringify(document), absoluteRef: '/openapi.json', config });
  t.strictSame(
    problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`),
    [],
  );
  const broken = { ...document, paths: { '/x': { get: { responses: {} } } } };
  const found = await lintFromString({ source: JSON.stringify(broken), absoluteRef: '/openapi.json', config });
  t.ok(found.length > 0, 'the linter sees what is wrong');
});

void t.test('bodies are the contract’s, as components', async (t) => {
  const { schemas } = document.components;
  t.match(schemas.NetworkOrder.properties.interface, { $ref: '#/components/schemas/InterfaceClassEnum' });
  t.match(schemas.ResetOrder.properties.type, { $ref: '#/components/schemas/ResetType' });
  t.match(schemas.InterfaceClassEnum.enum, ['Wired0']);
  t.strictSame(Object.keys(schemas.FirmwareUpdateOrder.properties).sort(), [
    'allowInstallation',
    'artifact',
    'install_timestamp',
    'location',
    'replace',
    'retries',
    'retrieve_timestamp',
    'retry_interval_s',
    'signature',
    'signing_certificate',
    'title',
  ]);
  for (const [name, schema] of Object.entries<Json>(schemas)) t.ok(schema.description, `${name} is described`);
  for (const name of Object.keys(schemas).filter((name) => name.endsWith('Order')))
    t.ok(schemas[name].examples.length > 0, `${name} has an example`);
});

void t.test('every operation says what it is, what it needs and how it fails', async (t) => {
  for (const [path, methods] of Object.entries<Json>(document.paths)) {
    for (const [method, operation] of Object.entries<Json>(methods)) {
      const name = `${method} ${path}`;
      t.ok(operation.operationId && operation.summary && operation.description, name);
      t.strictSame(operation.security, [{ bearer: [] }], name);
      for (const [status, { content }] of Object.entries<Json>(operation.responses)) {
        if (Number(status) >= 400) t.ok(content['application/problem+json'], `${name} ${status}`);
      }
      const { 'application/json': json, ...others } = operation.requestBody?.content ?? {};
      // The bytes of an image; all else is an order.
      if (name.includes('/firmware-artifacts') && !json && operation.requestBody)
        t.match(others, { 'application/octet-stream': { schema: { $ref: /ImageBytes$/ } } }, name);
      else if (operation.requestBody) t.match(json.schema.$ref, /Order$/, name);
    }
  }
});

void t.test('the examples of bodies are accepted', async (t) => {
  const paths = {
    FirmwareUpdateOrder: ['POST', 'firmware-updates'],
    LogUploadOrder: ['POST', 'log-uploads'],
    ResetOrder: ['POST', 'reset'],
    SystemTimeOrder: ['PUT', 'system-time'],
    NetworkOrder: ['PUT', 'network'],
  } as const;
  for (const [name, [method, path]] of Object.entries(paths)) {
    for (const example of document.components.schemas[name].examples) {
      const body = name === 'LogUploadOrder' ? { location: 'https://a.example/', ...example } : example;
      t.equal((await rest.call(method, `/v1/stations/cs-1/${path}`, { body })).status, 202, name);
    }
  }
});

void t.test('the documentation lists every code', async (t) => {
  const text = readFileSync(new URL('../../../../docs/rest-api.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` +\| (\d+) +\| (.+?) +\|$/gm)].map(([, code, status, title]) => ({
    code,
    status: Number(status),
    title,
  }));
  const wanted = Object.entries(PROBLEMS).map(([code, { status, title }]) => ({ code, status, title }));
  t.strictSame(rows, wanted);
  const { body, headers } = await rest.call('GET', '/docs/', { key: null });
  t.match(headers['content-type'], 'text/html');
  t.match(body, 'swagger-ui');
});
