/** The last lines of what a command of a station prints. */
import { Readable } from 'node:stream';
import { bytesOf } from '../log-parts.js';
import type { LogSource, LogStream } from '../port.js';
import { NEWEST_RECORDS } from './logs-script.js';
import { LINE_CUT, LineCutter } from './window-lines.js';

const MAX_HELD_BYTES = 4 * 1024 * 1024;

/** They come when it has ended. */
export function newestOfCommand(source: LogSource, follow: boolean): LogStream {
  const cutter = new LineCutter({ dropsRest: true });
  let isShort = false;
  const last = async function* (): AsyncGenerator<Buffer, void, undefined> {
    const held: Buffer[] = [];
    let size = 0;
    const hold = (line: Buffer): void => {
      held.push(line);
      size += line.length;
      while (held.length > NEWEST_RECORDS || size > MAX_HELD_BYTES) {
        size -= held.shift()?.length ?? 0;
        isShort = true;
      }
    };
    for await (const piece of bytesOf(source)) for (const line of cutter.push(piece)) hold(line);
    for (const line of cutter.end()) hold(line);
    yield* held;
  };
  const stream = Readable.from(last(), { objectMode: false });
  // Whoever reads it hears of it; before that, it is kept there.
  stream.on('error', () => {});
  return {
    name: source.name,
    stream,
    notes: () => [
      ...(source.notes?.() ?? []),
      ...(cutter.isCut ? [LINE_CUT] : []),
      ...(isShort ? [{ code: 'older_left_out', text: `these are its last ${NEWEST_RECORDS} lines` } as const] : []),
      ...(follow ? [{ code: 'not_followed', text: 'a command prints what there is, and ends' } as const] : []),
    ],
  };
}
