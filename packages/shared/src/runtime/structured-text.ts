/**
 * YAML and JSON that people write, checked against a schema. What is wrong is said with its line and column, counted from
 * 1, and repeats no value: it may be a secret.
 */
import {
  findNodeAtLocation,
  type JSONPath,
  type Node,
  type ParseErrorCode,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import type { Static, TSchema } from 'typebox';
import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { type Mismatch, writtenMismatch } from '../contract/codec.js';
import { CodedError, describeError } from './errors.js';

/** `TEXT_INVALID`, with the place first. */
const invalid = (place: { line: number; col: number }, what: string): CodedError =>
  new CodedError('TEXT_INVALID', `line ${place.line}, column ${place.col}: ${what}`);

function placeOf(text: string, offset: number): { line: number; col: number } {
  const before = text.slice(0, offset).split(/\r\n|\n|\r/);
  return { line: before.length, col: (before.at(-1)?.length ?? 0) + 1 };
}

const pairOf = (map: YAMLMap, member: string): Pair | undefined =>
  map.items.find(({ key }) => isScalar(key) && String(key.value) === member);

/** The node a mismatch is about, or the innermost one above it that is written in the text. */
function yamlNodeOf(root: unknown, { path, unknown }: Mismatch): unknown {
  let node = root;
  for (const member of path) {
    const inner = isSeq(node) ? node.items[Number(member)] : isMap(node) ? pairOf(node, member)?.value : undefined;
    if (!isNode(inner)) return node;
    node = inner;
  }
  return unknown !== undefined && isMap(node) ? (pairOf(node, unknown)?.key ?? node) : node;
}

/**
 * Read YAML 1.2; nothing but comments counts as `{}`. Throws `TEXT_INVALID`: it is no YAML, or does not fit the schema, or
 * `check` has found something that a schema cannot say.
 */
export function readYaml<S extends TSchema>(
  text: string,
  schema: S,
  check: (value: Static<S>) => Mismatch | undefined = () => undefined,
): Static<S> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' });
  const [error] = document.errors;
  if (error) throw invalid(lineCounter.linePos(error.pos[0]), error.message);
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch (failure) {
    // Aliases that lead nowhere, or to too much.
    throw new CodedError('TEXT_INVALID', describeError(failure), { cause: failure });
  }
  const problem = writtenMismatch(schema, value) ?? check(value as Static<S>);
  if (!problem) return value as Static<S>;
  const node = yamlNodeOf(document.contents, problem);
  throw invalid(lineCounter.linePos(isNode(node) ? (node.range?.[0] ?? 0) : 0), problem.text);
}

/** Member names that occur twice in one object: the later one would win in silence. */
function repeatedMember(node: ReturnType<typeof parseTree>): { offset: number } | undefined {
  const names = new Set<unknown>();
  for (const child of node?.children ?? []) {
    const [key] = node?.type === 'object' ? (child.children ?? []) : [];
    if (key && names.has(key.value)) return key;
    if (key) names.add(key.value);
    const inner = repeatedMember(child);
    if (inner) return inner;
  }
  return undefined;
}

/** The node a mismatch is about: the member by its name where it is not known. */
function jsonNodeOf(tree: Node, { path, unknown }: Mismatch): Node | undefined {
  const steps: JSONPath = [];
  for (const member of path) {
    const isIndex = findNodeAtLocation(tree, steps)?.type === 'array';
    steps.push(isIndex ? Number(member) : member);
  }
  const node = findNodeAtLocation(tree, unknown === undefined ? steps : [...steps, unknown]);
  return unknown === undefined ? node : node?.parent;
}

/** `CommaExpected`: comma expected. */
const wordsOf = (code: ParseErrorCode): string =>
  printParseErrorCode(code)
    .replace(/\B[A-Z]/g, ' $&')
    .toLowerCase();

/** Read JSON (RFC 8259). Throws `TEXT_INVALID`: it is no JSON, names a member twice, or does not fit the schema. */
export function readJson<S extends TSchema>(text: string, schema: S): Static<S> {
  const errors: Parameters<typeof parseTree>[1] = [];
  const tree = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its message quotes the text.
    const [first] = errors;
    const end = text.trimEnd().length;
    const what = first && first.offset < end ? wordsOf(first.error) : 'it ends too early';
    throw invalid(placeOf(text, Math.min(first?.offset ?? end, end)), `not JSON: ${what}`);
  }
  const repeated = repeatedMember(tree);
  if (repeated) throw invalid(placeOf(text, repeated.offset), 'this member is there twice');
  const problem = writtenMismatch(schema, value);
  if (!problem) return value as Static<S>;
  const at = tree && jsonNodeOf(tree, problem);
  throw invalid(placeOf(text, at?.offset ?? 0), problem.text);
}
