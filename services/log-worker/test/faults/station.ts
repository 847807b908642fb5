/** A station whose log has a record a second, and what of it must be in an archive. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { extract } from 'tar-stream';

export type Openings = StationDriver['openLogs'];

export const BEGIN = Date.UTC(2026, 0, 1);
const at = (second: number): Date => new Date(BEGIN + second * 1000);
/** The window that is asked for: both ends are in it. */
const FROM = 100;
const TO = 1900;
/** Of the window, both inclusive. */
export const WINDOW_SECONDS = { from: FROM, to: TO } as const;
export const WINDOW = { oldest_timestamp: at(FROM).toISOString(), latest_timestamp: at(TO).toISOString() } as const;

/** `width`: bytes of noise in a record, which no compression makes smaller than three quarters. */
function recordsOf(width: number): readonly string[] {
  const noise = randomBytes(width * 2000).toString('base64');
  return Array.from(
    { length: 2000 },
    (_, second) => `${at(second).toISOString()} ${noise.slice(second * width, (second + 1) * width)}\n`,
  );
}

export interface TestStation {
  readonly openLogs: Openings;
  /** What an archive of the window must have, byte by byte. */
  readonly expected: string;
}

export function makeStation(width = 40): TestStation {
  const records = recordsOf(width);
  return {
    openLogs: async ({ oldest, latest }) => {
      const wanted = records.filter((record) => {
        const time = Date.parse(record.slice(0, 24));
        return time >= (oldest?.getTime() ?? 0) && time <= (latest?.getTime() ?? Number.MAX_SAFE_INTEGER);
      });
      return [{ name: 'journal', stream: Readable.from([Buffer.from(wanted.join(''))], { objectMode: false }) }];
    },
    expected: records.slice(FROM, TO + 1).join(''),
  };
}

/** The texts of all members of an archive whose names end so, in their order. */
export async function textIn(archive: Buffer, ending: string): Promise<string> {
  const members = extract();
  members.end(gunzipSync(archive));
  let text = '';
  for await (const member of members) {
    const pieces: Buffer[] = [];
    for await (const piece of member) pieces.push(piece as Buffer);
    if (member.header.name.endsWith(ending)) text += Buffer.concat(pieces).toString();
  }
  return text;
}

/** The records of all members of an archive, in their order. */
export const recordsIn = (archive: Buffer): Promise<string> => textIn(archive, '.log');
