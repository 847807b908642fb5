/**
 * The types of packages/client from an OpenAPI document, to standard output: `node client-types.mjs DOCUMENT`. All errors of
 * an operation are problems, so they stand once as `default`; headers are described in the document and left out here.
 */
import { readFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const PROBLEM = { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } };

function slim(operation) {
  const good = Object.entries(operation.responses).filter(([status]) => Number(status) < 400);
  const responses = Object.fromEntries(
    good.map(([status, { description, content }]) => [status, { description, ...(content ? { content } : {}) }]),
  );
  return { ...operation, responses: { ...responses, default: { description: 'An error.', ...PROBLEM } } };
}

const document = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const methods of Object.values(document.paths))
  for (const [method, operation] of Object.entries(methods)) methods[method] = slim(operation);
delete document.components.headers;
const nodes = await openapiTS(document, { rootTypes: true, rootTypesNoSchemaPrefix: true });
process.stdout.write(`// Made from docs/openapi.json by scripts/client-types.mjs.\n${astToString(nodes)}`);
