/** A filter as a row of tokens. Pure. */
import { FilterError } from './filter-error.js';

export type TokenKind = 'word' | 'text' | 'operator' | '(' | ')' | ',' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Of `text` without its quotes. */
  readonly value: string;
  readonly at: number;
  readonly length: number;
}

const SPACE = /\s+/y;
const OPERATOR = /<=|>=|!=|=|<|>|~/y;
/** Until white space, a quote, or what means something. */
const WORD = /[^\s()=!<>~,"']+/y;

function quoted(text: string, at: number): Token {
  const quote = text[at];
  let value = '';
  for (let next = at + 1; next < text.length; next++) {
    const character = text[next] ?? '';
    if (character === quote) return { kind: 'text', value, at, length: next + 1 - at };
    if (character === '\\') next++;
    value += text[next] ?? '';
  }
  throw new FilterError(`the text that begins here has no closing ${quote}`, at, text.length - at);
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function tokenAt(text: string, at: number): Token {
  const character = text[at] ?? '';
  if (character === '(' || character === ')' || character === ',')
    return { kind: character, value: character, at, length: 1 };
  if (character === '"' || character === "'") return quoted(text, at);
  const operator = matchAt(OPERATOR, text, at);
  if (operator !== undefined) return { kind: 'operator', value: operator, at, length: operator.length };
  const word = matchAt(WORD, text, at);
  if (word !== undefined) return { kind: 'word', value: word, at, length: word.length };
  throw new FilterError(`${character} means nothing here`, at, 1, ['!=']);
}

/** Ends with a token of kind `end`. Throws `FilterError`. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const space = matchAt(SPACE, text, at);
    if (space !== undefined) {
      at += space.length;
      continue;
    }
    const token = tokenAt(text, at);
    tokens.push(token);
    at += token.length;
  }
  tokens.push({ kind: 'end', value: '', at: text.length, length: 0 });
  return tokens;
}
