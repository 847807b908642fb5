/** Values for a schema: such as fit it, such as stand at its edge, and such as nobody should send. */
import { WILD_VALUES } from '../hostile/wild-values.js';
import type { Random } from '../random.js';
import type { Schema } from './document.js';

const DEEPEST = 5;
const TEXTS = [
  '',
  ' ',
  'x',
  'cs-1',
  '__proto__',
  'constructor',
  'x'.repeat(300),
  'ünd ✓',
  '\u0000',
  '../..',
  '%00',
  "'",
];
const TIMES = [
  '2026-11-22T09:30:00Z',
  '1999-01-01T00:00:00Z',
  '0001-01-01T00:00:00Z',
  '2016-12-31T23:59:60Z',
  '2099-12-31T23:59:59.999+14:00',
];
const NUMBERS = [0, 1, -1, 0.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e300, Number.MAX_VALUE];
/** Places that nobody reaches, and some that nobody may reach. */
const LOCATIONS = [
  'https://files.invalid/image.bin',
  'http://127.0.0.1:1/image.bin',
  'ftp://user:word@files.invalid/x',
  's3://khumbu/images/none.bin',
  's3://khumbu/../x',
  'http://169.254.169.254/',
  'http://[::1]:1/',
  'gopher://x',
  'https://',
  'artifact://sha256/',
];

export interface Values {
  /** As the schema has it, mostly. */
  fitting(schema: Schema, name?: string, depth?: number): unknown;
  /** JSON text of what nobody should send. */
  wild(): string;
  text(): string;
}

const hex = (random: Random, length: number): string =>
  Array.from({ length }, () => random.between(0, 15).toString(16)).join('');

export function createValues(random: Random, resolve: (schema: Schema) => Schema): Values {
  function textFor({ pattern, format, minLength = 0, maxLength }: Schema, name: string): string {
    if (format === 'date-time') return random.pick(TIMES);
    if (name === 'location') return random.pick(LOCATIONS);
    if (pattern?.includes('{64}')) return hex(random, 64);
    if (name === 'anchor') return `${random.between(0, 9)}:${hex(random, 64)}`;
    const text = random.pick(TEXTS).padEnd(minLength, 'y');
    return maxLength === undefined ? text : text.slice(0, maxLength);
  }
  function numberFor({ type, minimum = -1000, maximum = minimum + 100_000 }: Schema): number {
    if (random.chance(0.2)) return random.pick([minimum, maximum]);
    const number = random.between(minimum, maximum);
    return type === 'number' && random.chance(0.3) ? number + 0.5 : number;
  }
  function objectFor({ properties = {}, required = [] }: Schema, depth: number): Record<string, unknown> {
    const chosen = Object.entries(properties).filter(([name]) => required.includes(name) || random.chance(0.5));
    return Object.fromEntries(chosen.map(([name, member]) => [name, fitting(member, name, depth + 1)]));
  }
  function fitting(given: Schema, name = '', depth = 0): unknown {
    const schema = resolve(given);
    if (schema.examples && schema.examples.length > 0 && random.chance(0.3)) return random.pick(schema.examples);
    if (schema.anyOf && !schema.properties) return fitting(random.pick(schema.anyOf), name, depth);
    if (schema.enum) return random.pick(schema.enum);
    const type =
      typeof schema.type === 'string' ? schema.type : (schema.type?.[0] ?? (schema.properties ? 'object' : 'string'));
    switch (type) {
      case 'object':
        return depth > DEEPEST ? {} : objectFor(schema, depth);
      case 'array':
        return Array.from({ length: random.between(0, 3) }, () => fitting(schema.items ?? {}, name, depth + 1));
      case 'boolean':
        return random.chance(0.5);
      case 'null':
        return null;
      case 'integer':
      case 'number':
        return random.chance(0.1) ? random.pick(NUMBERS) : numberFor(schema);
      default:
        return textFor(schema, name);
    }
  }
  return { fitting, wild: () => random.pick(WILD_VALUES), text: () => random.pick(TEXTS) };
}
