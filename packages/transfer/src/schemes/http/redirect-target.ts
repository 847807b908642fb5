/** Where a redirect leads. Pure. RFC 9110, 10.2.2. */

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Node gives the bytes of a header as Latin-1. Servers that do not escape a path send UTF-8, as browsers take it; what is
 * no UTF-8 is left as it is.
 */
function textOf(header: string): string {
  try {
    return utf8.decode(Buffer.from(header, 'latin1'));
  } catch (error) {
    if (error instanceof TypeError) return header;
    throw error;
  }
}

/** `location`: the header as Node gives it; `undefined`: it is no address. */
export function redirectTarget(location: string, base: URL): URL | undefined {
  const text = textOf(location);
  return URL.canParse(text, base.href) ? new URL(text, base) : undefined;
}
