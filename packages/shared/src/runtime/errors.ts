/**
 * Coded errors. Code branches on `code`, people read `message`, which says what to do. No HTTP, no MQTT words here:
 * each edge translates codes for its own peers.
 */
export class CodedError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CodedError';
    this.code = code;
  }
}

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && codes.includes((error as Error & { code?: string }).code ?? '');

/** An abort by signal, ours or Node's. */
export const isAbort = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'AbortError' || hasCode(error, 'ABORT_ERR', 'ABORTED'));

/** For a `switch` that must know every case. */
export function unreachable(value: never): never {
  throw new TypeError(`unexpected value: ${String(value)}`);
}

/** A message fit for a line in a log or a record: no stack, no credentials of a URL. */
export const describeError = (error: unknown): string =>
  withoutCredentials(error instanceof Error ? error.message : String(error));

/** Any URL inside the text loses its user, password, query and fragment. */
export const withoutCredentials = (text: string): string =>
  text.replace(
    /([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/@"'<>]*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?/gi,
    (_all, scheme: string, rest: string) => `${scheme}${rest}`,
  );
