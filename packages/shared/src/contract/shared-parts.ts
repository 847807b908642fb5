/** A JSON schema with what it repeats as definitions. */

type Schema = Readonly<Record<string, unknown>>;

/** Keywords of JSON Schema whose value is a schema, a list of them, or schemas by name. */
const ONE = new Set('items additionalProperties additionalItems contains propertyNames not if then else'.split(' '));
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'items']);
const NAMED = new Set(['properties', 'patternProperties']);

/** A shorter part costs less where it stands than a function of its own. */
const SHORTEST = 200;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function mapParts(schema: Schema, change: (part: Schema) => unknown): Schema {
  const changed = (value: unknown): unknown => (isSchema(value) ? change(value) : value);
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (LIST.has(keyword) && Array.isArray(value)) return [keyword, value.map(changed)];
      if (ONE.has(keyword)) return [keyword, changed(value)];
      if (!NAMED.has(keyword) || !isSchema(value)) return [keyword, value];
      return [keyword, Object.fromEntries(Object.entries(value).map(([name, part]) => [name, changed(part)]))];
    }),
  );
}

/**
 * The same schema, in which each long part that is there more than once is a definition: it is compiled once, and the stations file's
 * takes half of the time. `schema` has no definitions and references of its own, else it is left as it is.
 */
export function withSharedParts(schema: Schema): Schema {
  const times = new Map<string, number>();
  const count = (part: Schema): Schema => {
    const text = JSON.stringify(part);
    const before = times.get(text) ?? 0;
    if (text.length >= SHORTEST) times.set(text, before + 1);
    return before > 0 ? part : mapParts(part, count);
  };
  if (/"\$(?:ref|defs|id)":/.test(JSON.stringify(schema))) return schema;
  mapParts(schema, count);
  const names = new Map<string, string>();
  const definitions: Record<string, Schema> = {};
  const share = (part: Schema): Schema => {
    const text = JSON.stringify(part);
    if ((times.get(text) ?? 0) < 2) return mapParts(part, share);
    let name = names.get(text);
    if (name === undefined) {
      name = `part${names.size + 1}`;
      names.set(text, name);
      definitions[name] = mapParts(part, share);
    }
    return { $ref: `#/definitions/${name}` };
  };
  const shared = mapParts(schema, share);
  return names.size === 0 ? schema : { ...shared, definitions };
}
