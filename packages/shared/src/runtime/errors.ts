/**
 * Coded errors. Code branches on `code`, people read `message`, which says what to do. No HTTP, no MQTT words here:
 * each edge translates codes for its own peers.
 */

const MARK = Symbol.for('khumbu.CodedError');

export class CodedError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CodedError';
    this.code = code;
  }
  get [MARK](): true {
    return true;
  }
}

/** Whichever copy of the class it is of: programs are bundled, and a driver of a charger maker brings what it imports. */
function isCodedError(this: unknown, value: unknown): boolean {
  if (this !== CodedError) return Function.prototype[Symbol.hasInstance].call(this as typeof CodedError, value);
  return value instanceof Error && MARK in value;
}
Object.defineProperty(CodedError, Symbol.hasInstance, { value: isCodedError });

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && codes.includes((error as Error & { code?: string }).code ?? '');

/** Node's own errors may have no message: of several addresses that were tried, or from a socket. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageOf).join('; ');
  return (error as Error & { code?: string }).code ?? error.name;
}

/** A message fit for a line in a log or a record: no stack, no credentials of a URL. */
export const describeError = (error: unknown): string => withoutCredentials(messageOf(error));

/**
 * Any URL inside the text loses its user, password, query and fragment. A password may hold `@` and quotes: everything
 * before the last `@` of the authority goes (WHATWG URL, authority state).
 */
export const withoutCredentials = (text: string): string =>
  text.replace(
    /([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#]*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?/gi,
    (_all, scheme: string, rest: string) => `${scheme}${rest}`,
  );

/** Files are shared: what was listed may be gone when it is looked at. `undefined` for one that is not there (any more). */
export async function ifExists<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
