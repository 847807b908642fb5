/**
 * The filter language, for REST, the command line and the page alike. Pure, and without an import of Node.
 *
 *     filter     = all *( "or" all )
 *     all        = one *( "and" one )
 *     one        = "not" one / "(" filter ")" / comparison
 *     comparison = field operator value / field "in" "(" value *( "," value ) ")"
 *     field      = name [ "." key ]
 *     value      = word / quoted text
 */

import { type Field, type Fields, OPERATORS, type Operator } from './fields.js';
import { FilterError } from './filter-error.js';
import { type Token, tokensOf } from './tokens.js';
import { readMoment } from './values.js';

export interface Comparison {
  readonly kind: 'comparison';
  /** Name of the field, without the key. */
  readonly field: string;
  /** Of a field that has one: `site` of `label.site`. */
  readonly key?: string;
  readonly operator: Operator;
  /** One, but for `in`. */
  readonly values: readonly string[];
}
export type Filter =
  | Comparison
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter };

/** What one filter may cost. */
export const MOST_CHARACTERS = 2000;
const MOST_COMPARISONS = 64;
const DEEPEST = 32;

const KEYWORDS = ['and', 'or', 'not', 'in'];
const shown = ({ kind, value }: Token): string => (kind === 'end' ? 'nothing' : value);
const listOf = (expected: readonly string[]): string => expected.join(', ');

class Parser {
  private readonly tokens: readonly Token[];
  private next = 0;
  private comparisons = 0;

  constructor(
    text: string,
    private readonly fields: Fields,
  ) {
    this.tokens = tokensOf(text);
  }

  private peek(): Token {
    return this.tokens[this.next] as Token;
  }

  private take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.next += 1;
    return token;
  }

  private isKeyword(word: string): boolean {
    const { kind, value } = this.peek();
    return kind === 'word' && value.toLowerCase() === word;
  }

  private takeKeyword(word: string): boolean {
    if (!this.isKeyword(word)) return false;
    this.take();
    return true;
  }

  private refuse(what: string, expected: readonly string[] = [], token = this.peek()): never {
    throw new FilterError(what, token.at, token.length, expected);
  }

  /** Something of a list was to come. */
  private refuseFor(expected: readonly string[], token = this.peek()): never {
    return this.refuse(`${shown(token)} where one of these should be: ${listOf(expected)}`, expected, token);
  }

  whole(): Filter {
    const filter = this.any(0);
    if (this.peek().kind !== 'end') this.refuseFor(['and', 'or']);
    return filter;
  }

  private any(depth: number): Filter {
    const parts = [this.all(depth)];
    while (this.takeKeyword('or')) parts.push(this.all(depth));
    return parts.length === 1 ? (parts[0] as Filter) : { kind: 'or', parts };
  }

  private all(depth: number): Filter {
    const parts = [this.one(depth)];
    while (this.takeKeyword('and')) parts.push(this.one(depth));
    return parts.length === 1 ? (parts[0] as Filter) : { kind: 'and', parts };
  }

  private one(depth: number): Filter {
    if (depth > DEEPEST) this.refuse(`nested deeper than ${DEEPEST}`);
    if (this.takeKeyword('not')) return { kind: 'not', part: this.one(depth + 1) };
    if (this.peek().kind !== '(') return this.comparison();
    this.take();
    const filter = this.any(depth + 1);
    if (this.peek().kind !== ')') this.refuseFor(['and', 'or', ')']);
    this.take();
    return filter;
  }

  private comparison(): Comparison {
    const { name, key, field } = this.field();
    this.comparisons += 1;
    if (this.comparisons > MOST_COMPARISONS) this.refuse(`more than ${MOST_COMPARISONS} comparisons`);
    const operator = this.operator(field);
    const values = operator === 'in' ? this.list(field) : [this.value(field, operator)];
    return { kind: 'comparison', field: name, ...(key === undefined ? {} : { key }), operator, values };
  }

  private field(): { name: string; key: string | undefined; field: Field } {
    const token = this.peek();
    const names = Object.entries(this.fields).map(([name, { isKeyed }]) => (isKeyed ? `${name}.NAME` : name));
    if (token.kind !== 'word' || KEYWORDS.includes(token.value.toLowerCase())) this.refuseFor([...names, 'not', '(']);
    const [name = '', ...rest] = token.value.split('.');
    const key = rest.length === 0 ? undefined : rest.join('.');
    const field = Object.hasOwn(this.fields, name) ? this.fields[name] : undefined;
    const isWhole = field && (field.isKeyed ? key !== undefined && key !== '' : key === undefined);
    if (!field || !isWhole) return this.refuse(`${token.value} is no field: ${listOf(names)}`, names);
    this.take();
    return { name, key, field };
  }

  private operator({ type }: Field): Operator {
    const token = this.peek();
    const known: readonly string[] = OPERATORS[type];
    const found = this.isKeyword('in') ? 'in' : token.kind === 'operator' ? token.value : undefined;
    if (found === undefined || !known.includes(found)) return this.refuseFor(known);
    this.take();
    return found as Operator;
  }

  private list(field: Field): string[] {
    if (this.peek().kind !== '(') this.refuseFor(['(']);
    this.take();
    const values = [this.value(field, 'in')];
    while (this.peek().kind === ',') {
      this.take();
      values.push(this.value(field, 'in'));
    }
    if (this.peek().kind !== ')') this.refuseFor([',', ')']);
    this.take();
    return values;
  }

  private value({ type, values }: Field, operator: Operator): string {
    const token = this.peek();
    const isValue = token.kind === 'text' || (token.kind === 'word' && !KEYWORDS.includes(token.value.toLowerCase()));
    if (!isValue)
      return this.refuse(`${shown(token)} where a value should be`, type === 'flag' ? ['true', 'false'] : values);
    const { value } = token;
    if (type === 'flag' && value !== 'true' && value !== 'false') this.refuseFor(['true', 'false']);
    if (values && (operator === '=' || operator === '!=' || operator === 'in') && !values.includes(value))
      this.refuseFor(values);
    if (type === 'time' && readMoment(value, 0) === undefined)
      this.refuse(`${value} is no time: write 2026-11-22, 2026-11-22T09:30:00Z or now-15m (s, m, h, d, w)`);
    this.take();
    return value;
  }
}

/** Throws `FilterError` that says where. A text without anything in it is refused as well: who wants everything sends none. */
export function parseFilter(text: string, fields: Fields): Filter {
  if (text.length > MOST_CHARACTERS)
    throw new FilterError(`longer than ${MOST_CHARACTERS} characters`, MOST_CHARACTERS, text.length - MOST_CHARACTERS);
  return new Parser(text, fields).whole();
}

/** All comparisons in it, from left to right. */
export function comparisonsOf(filter: Filter): Comparison[] {
  if (filter.kind === 'comparison') return [filter];
  return filter.kind === 'not' ? comparisonsOf(filter.part) : filter.parts.flatMap(comparisonsOf);
}
