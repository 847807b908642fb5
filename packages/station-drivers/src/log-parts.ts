/** Log sources of either form, read in one way. */
import type { LogPart, LogSource } from './port.js';

/** The parts of a source; one that is a single stream is one part of the source's own name. */
export async function* partsOf(source: LogSource): AsyncGenerator<LogPart, void, undefined> {
  if ('parts' in source) yield* source.parts;
  else yield source;
}

/** All bytes of sources, one after the other. */
export async function* bytesOf(...sources: readonly LogSource[]): AsyncGenerator<Buffer, void, undefined> {
  for (const source of sources) for await (const { stream } of partsOf(source)) yield* stream as AsyncIterable<Buffer>;
}
