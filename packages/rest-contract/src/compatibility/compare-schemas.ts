/**
 * Two schemas of one place, compared in the direction in which values travel. A request may take more than it did, an answer
 * may say more than it did: words of an enumeration and members may be added there, as the version policy says. Pure.
 */
import type { Break } from './breaks.js';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly pattern?: string;
  readonly format?: string;
  readonly [bound: string]: unknown;
}

export type Direction = 'request' | 'answer';
/** Follows references of the document that the schema is of. */
export type Resolve = (schema: Schema) => Schema;
export type Tell = (what: Break, where: string, detail: string) => void;

export interface Sides {
  readonly before: Resolve;
  readonly after: Resolve;
  readonly direction: Direction;
}

const UPPER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'] as const;
const LOWER = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'] as const;

/** What a document may say of a value and this comparison looks at; beside it only words that promise nothing. */
export const COMPARED: ReadonlySet<string> = new Set([
  ...UPPER,
  ...LOWER,
  '$ref',
  'type',
  'enum',
  'const',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'uniqueItems',
  'anyOf',
  'oneOf',
  'pattern',
  'format',
]);

const DEEPEST = 12;
const ANYTHING = ['array', 'boolean', 'null', 'number', 'object', 'string'];

/** Which types of JSON it can be; an integer is a number of fewer values. */
function typesOf({ type, enum: words, const: word, properties, items }: Schema): readonly string[] {
  if (type !== undefined) return typeof type === 'string' ? [type] : type;
  const values = word === undefined ? words : [word];
  if (values) return [...new Set(values.map((value) => (value === null ? 'null' : typeof value)))];
  if (properties) return ['object'];
  return items ? ['array'] : ANYTHING;
}

const covers = (wide: readonly string[], type: string): boolean =>
  wide.includes(type) || (type === 'integer' && wide.includes('number'));

const wordsOf = ({ enum: words, const: word }: Schema): readonly unknown[] | undefined =>
  word === undefined ? words : [word];

function compareTypes(old: Schema, now: Schema, { direction }: Sides, where: string, tell: Tell): void {
  const [before, after] = [typesOf(old), typesOf(now)];
  const [narrow, wide] = direction === 'request' ? [before, after] : [after, before];
  const odd = narrow.filter((type) => !covers(wide, type));
  if (odd.length === 0) return;
  tell(
    direction === 'request' ? 'request_type_removed' : 'answer_type_changed',
    where,
    `${before.join('|')} became ${after.join('|')}`,
  );
}

function compareWords(old: Schema, now: Schema, { direction }: Sides, where: string, tell: Tell): void {
  const [before, after] = [wordsOf(old), wordsOf(now)];
  const what = direction === 'request' ? 'request_value_removed' : 'answer_value_removed';
  if (!before) {
    if (after && direction === 'request') tell(what, where, `only ${after.join(', ')}`);
    return;
  }
  const gone = after ? before.filter((word) => !after.includes(word)) : [];
  if (gone.length > 0) tell(what, where, gone.join(', '));
}

/** Of answers bounds are no promise. */
function compareBounds(old: Schema, now: Schema, where: string, tell: Tell): void {
  const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
  const say = (name: string): void =>
    tell('request_bound_tightened', where, `${name} ${String(old[name])} became ${String(now[name])}`);
  for (const name of UPPER) {
    const after = number(now[name]);
    if (after !== undefined && after < (number(old[name]) ?? Number.POSITIVE_INFINITY)) say(name);
  }
  for (const name of LOWER) {
    const after = number(now[name]);
    // Nothing is shorter than nothing.
    const least =
      name === 'minLength' || name === 'minItems' || name === 'minProperties' ? 0 : Number.NEGATIVE_INFINITY;
    if (after !== undefined && after > (number(old[name]) ?? least)) say(name);
  }
  for (const name of ['pattern', 'format'] as const) {
    if (now[name] !== undefined && now[name] !== old[name]) say(name);
  }
  if (now.uniqueItems === true && old.uniqueItems !== true) say('uniqueItems');
}

/** What members have to be that are not named; `undefined`: anything. */
const unnamedOf = ({ additionalProperties: unnamed }: Schema): Schema | undefined =>
  typeof unnamed === 'object' ? unnamed : undefined;

/**
 * Members that are not named, as those of a map. One that has got a name is still one for those who do not know the name; one
 * that has lost it is taken as the others are.
 */
function compareUnnamed(old: Schema, now: Schema, sides: Sides, where: string, tell: Tell, depth: number): void {
  const isRequest = sides.direction === 'request';
  const [before, after] = [unnamedOf(old), unnamedOf(now)];
  const [wasClosed, isClosed] = [old.additionalProperties === false, now.additionalProperties === false];
  const isOfMembers = old.properties !== undefined || before !== undefined;
  if (isRequest && isClosed && !wasClosed && isOfMembers)
    tell('request_member_removed', where, 'members that are not named');
  if (!isRequest && isClosed && before) tell('answer_member_removed', where, 'members that are not named');
  // An answer may have members that it did not have.
  const isPromise = isRequest ? !wasClosed : before !== undefined;
  if ((before ?? after) && isPromise && !isClosed)
    compareSchemas(before ?? {}, after ?? {}, sides, `${where}/*`, tell, depth + 1);
  for (const [name, member] of Object.entries(now.properties ?? {})) {
    if (before && !old.properties?.[name]) compareSchemas(before, member, sides, `${where}/${name}`, tell, depth + 1);
  }
  if (!isRequest || !after) return;
  for (const [name, member] of Object.entries(old.properties ?? {})) {
    if (!now.properties?.[name]) compareSchemas(member, after, sides, `${where}/${name}`, tell, depth + 1);
  }
}

function compareMembers(old: Schema, now: Schema, sides: Sides, where: string, tell: Tell, depth: number): void {
  const { direction } = sides;
  const wasRequired = new Set(old.required);
  const isRequired = new Set(now.required);
  for (const [name, before] of Object.entries(old.properties ?? {})) {
    const after = now.properties?.[name];
    const at = `${where}/${name}`;
    if (after) compareSchemas(before, after, sides, at, tell, depth + 1);
    else if (direction === 'answer') tell('answer_member_removed', at, name);
    else if (now.additionalProperties === false) tell('request_member_removed', at, name);
    if (direction === 'answer' && after && wasRequired.has(name) && !isRequired.has(name))
      tell('answer_member_optional', at, name);
  }
  if (direction === 'answer') return;
  for (const name of isRequired) {
    if (!wasRequired.has(name)) tell('request_member_required', `${where}/${name}`, name);
  }
}

const alternatives = (schema: Schema): readonly Schema[] => schema.anyOf ?? schema.oneOf ?? [schema];

function breaksBetween(old: Schema, now: Schema, sides: Sides, depth: number): number {
  let count = 0;
  const tell = (): void => {
    count += 1;
  };
  compareSchemas(old, now, sides, '', tell, depth);
  return count;
}

/** Each alternative has to be one of those on the other side: of a request those that were, of an answer those that are. */
function compareAlternatives(old: Schema, now: Schema, sides: Sides, where: string, tell: Tell, depth: number): void {
  const [before, after] = [alternatives(old), alternatives(now)];
  const isRequest = sides.direction === 'request';
  const what = isRequest ? 'request_type_removed' : 'answer_type_changed';
  for (const [at, one] of (isRequest ? before : after).entries()) {
    const others = isRequest ? after : before;
    const fits = others.some(
      (other) => breaksBetween(isRequest ? one : other, isRequest ? other : one, sides, depth + 1) === 0,
    );
    if (!fits) tell(what, where, `alternative ${at}`);
  }
}

/** What both documents name alike is told once, under that name. */
const placeOf = (old: Schema, now: Schema, where: string): string =>
  now.$ref !== undefined && now.$ref === old.$ref ? now.$ref : where;

/** Tells every break at or below this place. Schemas that lead into themselves are followed for a while. */
export function compareSchemas(old: Schema, now: Schema, sides: Sides, outer: string, tell: Tell, depth = 0): void {
  if (depth > DEEPEST) return;
  const where = placeOf(old, now, outer);
  const [before, after] = [sides.before(old), sides.after(now)];
  if (alternatives(before).length > 1 || alternatives(after).length > 1) {
    compareAlternatives(before, after, sides, where, tell, depth);
    return;
  }
  compareTypes(before, after, sides, where, tell);
  compareWords(before, after, sides, where, tell);
  if (sides.direction === 'request') compareBounds(before, after, where, tell);
  compareMembers(before, after, sides, where, tell, depth);
  compareUnnamed(before, after, sides, where, tell, depth);
  if (before.items && after.items) compareSchemas(before.items, after.items, sides, `${where}/items`, tell, depth + 1);
}
