/**
 * The schemas of the wire contract as components of the OpenAPI document, and how routes refer to them. What a body has
 * to be is checked by the contract's own validator, so that REST and MQTT cannot differ.
 */
import { isTimeStamp } from '@khumbu/shared/contract/schema-validators';
import { MOST_VIOLATIONS, readViolation, type Violation, violations } from '@khumbu/shared/contract/violations';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';
import { Problem, type ProblemError } from './problems.js';

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Alternatives that only name members: generators of types make `unknown` of each. */
const namesMembers = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => isNode(each) && Object.keys(each).join() === 'required');

/** Every schema with an $id inside becomes a reference to it. What only bodies are checked for stands in the description. */
function withRefs(value: unknown, isRoot = true): unknown {
  if (Array.isArray(value)) return value.map((item) => withRefs(item, false));
  if (!isNode(value)) return value;
  if (!isRoot && typeof value.$id === 'string') return { $ref: `${value.$id}#` };
  const members = Object.entries(value).filter(([name, member]) => name !== 'anyOf' || !namesMembers(member));
  return Object.fromEntries(members.map(([name, member]) => [name, withRefs(member, false)]));
}

const collect = (value: unknown, found: Map<string, Node>): void => {
  if (Array.isArray(value)) for (const item of value) collect(item, found);
  if (!isNode(value)) return;
  if (typeof value.$id === 'string') found.set(value.$id, value);
  for (const member of Object.values(value)) collect(member, found);
};

/** A schema by its $id, with its type. */
export const ref = <S extends TSchema>(schema: S): TUnsafe<Static<S>> =>
  Type.Unsafe<Static<S>>({ $ref: `${String((schema as { $id?: string }).$id)}#` });

/** Give the app these schemas, and all they are made of, as components. Bodies are checked against them as they stand here. */
export function addSchemas(app: FastifyInstance, schemas: Iterable<object>): void {
  const found = new Map<string, Node>();
  for (const schema of schemas) collect(schema, found);
  for (const schema of found.values()) app.addSchema(withRefs(schema));
  app.setValidatorCompiler(validatorCompiler(found));
  // Views are made for the schemas; a serializer that drops or bends members would only hide a mistake.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
}

const told = (errors: readonly ProblemError[]): string => errors.map(({ detail }) => detail).join('; ');

/** Where in a body, as RFC 9457 points: a fragment of a URI. */
function bodyError({ pointer, message, rule, allowed }: Violation): ProblemError {
  const detail = `${pointer === '' ? 'the body' : pointer.slice(1)} ${message}`;
  return {
    detail,
    pointer: `#${encodeURI(pointer)}`,
    ...(rule === undefined ? {} : { rule }),
    ...(allowed ? { allowed } : {}),
  };
}

const PLACES: Readonly<Record<string, 'query' | 'path' | 'header'>> = {
  querystring: 'query',
  params: 'path',
  headers: 'header',
};

function parameterError({ pointer, message, rule, allowed }: Violation, httpPart = ''): ProblemError {
  const parameter = (pointer.split('/')[1] ?? '').replaceAll('~1', '/').replaceAll('~0', '~');
  const place = PLACES[httpPart];
  const detail = `${parameter || httpPart} ${message}`;
  return {
    detail,
    parameter,
    ...(place ? { in: place } : {}),
    ...(rule === undefined ? {} : { rule }),
    ...(allowed ? { allowed } : {}),
  };
}

/** Text becomes numbers and lists in queries and headers; bodies are taken as they are. All that is wrong is told at once. */
function validatorCompiler(known: ReadonlyMap<string, Node>): FastifySchemaCompiler<Node> {
  // Bounded by the 16 KiB that addresses and headers have together.
  const ajv = new Ajv({ coerceTypes: 'array', useDefaults: true, strict: false, allErrors: true });
  addFormats.default(ajv);
  // As in bodies: a leap second is no number, and would be compared with numbers.
  ajv.addFormat('date-time', isTimeStamp);
  return ({ schema, httpPart }) => {
    if (httpPart === 'body') {
      const id = String(schema.$ref ?? schema.$id).replace(/#$/, '');
      const body = known.get(id);
      if (!body) throw new TypeError(`no schema ${id} for a body`);
      return (value: unknown) => {
        const errors = violations(body as TSchema, value).map(bodyError);
        return errors.length === 0 ? { value } : { error: new Problem('BODY_INVALID', told(errors), { errors }) };
      };
    }
    const validate: ValidateFunction = ajv.compile(schema);
    return (value: unknown) => {
      if (validate(value)) return { value };
      const found = (validate.errors ?? []).slice(0, MOST_VIOLATIONS);
      const errors = found.map((error) => parameterError(readViolation(error), httpPart));
      return { error: new Problem('PARAMETER_INVALID', told(errors), { errors }) };
    };
  };
}
