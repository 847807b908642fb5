/** The fields that a usual record of the export format has, by number, and how to know them from their first bytes. */

const NAMES = [
  '__REALTIME_TIMESTAMP',
  '__MONOTONIC_TIMESTAMP',
  '_BOOT_ID',
  '_SYSTEMD_UNIT',
  'SYSLOG_IDENTIFIER',
  'PRIORITY',
  'MESSAGE',
  '__CURSOR',
  '__SEQNUM',
  '__SEQNUM_ID',
] as const;
export const REALTIME = 0;
export const MONOTONIC = 1;
export const BOOT = 2;
export const UNIT = 3;
export const IDENTIFIER = 4;
export const PRIORITY = 5;
export const MESSAGE = 6;
const CURSOR = 7;
const SEQNUM = 8;
const SEQNUM_ID = 9;

export const FIELDS = NAMES.length;
export const NAME_BYTES = NAMES.map((name) => Buffer.from(`${name}=`, 'latin1'));
/** `MESSAGE=` and a line end; what tells the names apart is among so many bytes. */
export const SHORTEST_LINE = 9;
export const NONE = -1;

/** The only field whose name can begin so, by the bytes that tell them apart; `NONE`: none. */
export function fieldAt(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x4d:
      return MESSAGE;
    case 0x50:
      return PRIORITY;
    case 0x53:
      return IDENTIFIER;
    case 0x5f:
      break;
    default:
      return NONE;
  }
  switch (bytes[at + 1]) {
    case 0x42:
      return BOOT;
    case 0x53:
      return UNIT;
    case 0x5f:
      break;
    default:
      return NONE;
  }
  switch (bytes[at + 2]) {
    case 0x43:
      return CURSOR;
    case 0x52:
      return REALTIME;
    case 0x4d:
      return MONOTONIC;
    case 0x53:
      // `__SEQNUM=` and `__SEQNUM_ID=`, since systemd 254.
      return bytes[at + 8] === 0x3d ? SEQNUM : SEQNUM_ID;
    default:
      return NONE;
  }
}
