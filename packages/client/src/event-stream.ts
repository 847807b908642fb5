/**
 * Server-Sent Events (WHATWG HTML, 9.2.6) of a text. An event without data is told as well: it moves the place where a
 * reader goes on after a break, and libraries that tell of events with data alone lose it.
 */
export interface Message {
  /** Where to go on after this one; absent: where it was. */
  readonly id?: string;
  readonly event: string;
  /** `undefined`: there is none. */
  readonly data: string | undefined;
}

/** A parser of one stream: takes pieces of any size, returns the messages that are whole. */
export function createEventParser(): (piece: string) => Message[] {
  let rest = '';
  let block = new Map<string, string>();

  const take = (line: string): Message | undefined => {
    if (line === '') {
      const fields = block;
      block = new Map();
      const id = fields.get('id');
      if (fields.size === 0) return undefined;
      return { ...(id === undefined ? {} : { id }), event: fields.get('event') ?? 'message', data: fields.get('data') };
    }
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data' && block.has('data')) block.set('data', `${block.get('data')}\n${value}`);
    else if (name === 'data' || name === 'event' || (name === 'id' && !value.includes('\0'))) block.set(name, value);
    return undefined;
  };

  return (piece) => {
    const text = rest + piece;
    // A CR at the end may be half of a line end.
    const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? '') + text.slice(whole.length);
    return lines.map(take).filter((message) => message !== undefined);
  };
}
