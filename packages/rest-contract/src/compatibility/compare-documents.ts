/** Two OpenAPI documents of REST: what a caller that was written for the first one would stumble over in the second. Pure. */
import type { Break, FoundBreak } from './breaks.js';
import { compareSchemas, type Direction, type Resolve, type Schema, type Sides, type Tell } from './compare-schemas.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: Schema;
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;
interface Answer {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Content;
}
export interface Operation {
  readonly operationId?: string;
  readonly description?: string;
  readonly deprecated?: boolean;
  /** The date after which it may be gone, RFC 3339. */
  readonly 'x-sunset'?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content?: Content };
  readonly responses?: Readonly<Record<string, Answer>>;
}
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

const SCOPES = ['read', 'operate', 'admin'];
/** Descriptions end with the scope; OpenAPI has no place for it with the scheme `bearer`. */
const scopeOf = ({ description = '' }: Operation): number =>
  SCOPES.indexOf(/Needs the scope `(\w+)`/.exec(description)?.[1] ?? '');

function resolverOf(document: Document): Resolve {
  const resolve: Resolve = (schema) => {
    if (schema.$ref === undefined) return schema;
    const named = document.components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''];
    if (!named) throw new TypeError(`${schema.$ref} is not in the document`);
    return resolve(named);
  };
  return resolve;
}

function compareParameters(old: Operation, now: Operation, sides: Sides, where: string, tell: Tell): void {
  const find = (all: readonly Parameter[] = [], wanted: Parameter): Parameter | undefined =>
    all.find((one) => one.name === wanted.name && one.in === wanted.in);
  for (const before of old.parameters ?? []) {
    const at = `${where} ${before.in} ${before.name}`;
    const after = find(now.parameters, before);
    if (!after) tell('parameter_removed', at, before.name);
    else if (before.schema && after.schema) compareSchemas(before.schema, after.schema, sides, at, tell);
  }
  for (const after of now.parameters ?? []) {
    if (after.required && !find(old.parameters, after)?.required)
      tell('parameter_required', `${where} ${after.in} ${after.name}`, after.name);
  }
}

function compareContent(old: Content, now: Content, sides: Sides, where: string, gone: Break, tell: Tell): void {
  for (const [type, { schema: before }] of Object.entries(old)) {
    const after = now[type];
    if (!after) tell(gone, where, type);
    else if (before && after.schema) compareSchemas(before, after.schema, sides, `${where} ${type}`, tell);
  }
}

function compareBodies(old: Operation, now: Operation, sides: Sides, where: string, tell: Tell): void {
  const at = `${where} body`;
  if (now.requestBody?.required && !old.requestBody?.required) tell('body_required', at, 'body');
  const before = old.requestBody?.content ?? {};
  compareContent(before, now.requestBody?.content ?? {}, sides, at, 'request_type_removed', tell);
}

function compareAnswers(old: Operation, now: Operation, sides: Sides, where: string, tell: Tell): void {
  for (const [status, before] of Object.entries(old.responses ?? {})) {
    const at = `${where} ${status}`;
    const after = now.responses?.[status];
    // That something can fail in fewer ways is no break.
    if (!after && status < '400') tell('answer_removed', at, status);
    if (!after) continue;
    const names = new Set(Object.keys(after.headers ?? {}).map((name) => name.toLowerCase()));
    for (const name of Object.keys(before.headers ?? {})) {
      if (!names.has(name.toLowerCase())) tell('answer_header_removed', at, name);
    }
    compareContent(before.content ?? {}, after.content ?? {}, sides, at, 'answer_removed', tell);
  }
}

const isOver = ({ deprecated, 'x-sunset': sunset }: Operation, now: Date): boolean =>
  deprecated === true && sunset !== undefined && Date.parse(sunset) <= now.getTime();

/** All breaks, each once. `now` decides what was deprecated for long enough to be gone. */
export function compareDocuments(old: Document, now: Document, date: Date): readonly FoundBreak[] {
  const found = new Map<string, FoundBreak>();
  const tell: Tell = (what, where, detail) => {
    const one = { what, where, detail };
    found.set(JSON.stringify(one), one);
  };
  const sides = (direction: Direction): Sides => ({
    before: resolverOf(old),
    after: resolverOf(now),
    direction,
  });
  for (const [path, methods] of Object.entries(old.paths)) {
    for (const [method, before] of Object.entries(methods)) {
      const where = `${method.toUpperCase()} ${path}`;
      const after = now.paths[path]?.[method];
      if (!after) {
        if (!isOver(before, date)) tell('operation_removed', where, before.operationId ?? where);
        continue;
      }
      if (before.operationId !== after.operationId)
        tell('operation_renamed', where, `${before.operationId} became ${after.operationId}`);
      if (scopeOf(after) > scopeOf(before))
        tell('scope_raised', where, `${SCOPES[scopeOf(before)]} became ${SCOPES[scopeOf(after)]}`);
      compareParameters(before, after, sides('request'), where, tell);
      compareBodies(before, after, sides('request'), where, tell);
      compareAnswers(before, after, sides('answer'), where, tell);
    }
  }
  return [...found.values()];
}
