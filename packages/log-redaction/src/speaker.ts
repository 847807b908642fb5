/**
 * Who wrote a line, where every line says so: in a journal and in what syslog writes, lines of several programs come mixed. Pure.
 */

export interface Speaker {
  readonly name: string;
  /** Where what was written begins. */
  readonly bodyFrom: number;
}

const RFC_3339 = String.raw`\d{4,6}-\d\d-\d\dT[\d:.]{8,15}(?:Z|[+-]\d\d:?\d\d)`;
const FORMS: readonly RegExp[] = [
  // A journal as the drivers write it: time, boot, seconds since then, unit, priority, identifier.
  new RegExp(String.raw`^${RFC_3339} [0-9a-f]{32} \d{1,12}\.\d{6} (\S{1,256}) [a-z-]{1,7} (.{1,128}?): `),
  // RFC 5424: host, program, process.
  new RegExp(
    String.raw`^<\d{1,3}>1 ${RFC_3339} (\S{1,255}) (\S{1,48} \S{1,128}) \S{1,32} (?:-|(?:\[[^\]]{0,500}\])+) `,
  ),
  // RFC 3164, and what rsyslog and journalctl make of it: host, program.
  new RegExp(
    String.raw`^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|${RFC_3339}) (\S{1,255}) ([^\s:[\]]{1,80}(?:\[\d{1,10}\])?): ?`,
  ),
];

/** What a wrapper puts in front of each line: RFC 3339, seconds since 1970, TAI64N of daemontools. */
const TIME = new RegExp(
  String.raw`^\[?(?:${RFC_3339}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?|[1-3]\d{9}(?:\.\d{1,9})?|@[0-9a-f]{24})\]? `,
);

export function speakerOf(line: string): Speaker | undefined {
  for (const form of FORMS) {
    const [head, where = '', who = ''] = form.exec(line) ?? [];
    if (head !== undefined) return { name: `${where} ${who}`, bodyFrom: head.length };
  }
  return undefined;
}

/** Where what was written begins in a line: behind who wrote it, or behind its time. */
export const bodyFrom = (line: string, speaker: Speaker | undefined): number =>
  speaker?.bodyFrom ?? TIME.exec(line)?.[0].length ?? 0;

const blank = (length: number): string => ' '.repeat(length);

/**
 * `text` with blanks where it is not of the program `name`, so that what is left stands where it stood. `isOwnStart`: whether what
 * comes before its first line end is. `undefined`: nobody else wrote in between.
 */
export function linesBy(name: string, text: string, isOwnStart: boolean | undefined): string | undefined {
  let isOwn = isOwnStart ?? true;
  let isMixed = false;
  const lines = text.split('\n').map((line, index) => {
    const isCut = index === 0 && isOwnStart !== undefined;
    const speaker = isCut ? undefined : speakerOf(line);
    // A line that does not say who wrote it goes on with the one before.
    if (speaker) isOwn = speaker.name === name;
    if (isOwn) return speaker ? blank(speaker.bodyFrom) + line.slice(speaker.bodyFrom) : line;
    isMixed = true;
    return blank(line.length);
  });
  return isMixed ? lines.join('\n') : undefined;
}
