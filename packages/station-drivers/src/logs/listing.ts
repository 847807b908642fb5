/** What khumbu-logs.sh found, read. Pure. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type Boot, readBoot } from './boots.js';
import { isZone } from './station-zone.js';

export interface ListedFile {
  /** `DEVICE:INODE` */
  readonly inode: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly isReadable: boolean;
  /** As the station says, its bytes as Latin-1. */
  readonly path: string;
}

export interface JournalListing {
  readonly kind: 'journal';
  /** Those with a record that the source selects. */
  readonly boots: readonly Boot[];
  /** How many boots the journal has at all. */
  readonly known: number;
  /** Files of the journal that we know of, and how many of them may be read by our user itself. */
  readonly files: number;
  readonly readable: number;
  /** What journalctl complained of, as it is. */
  readonly said: string;
}

export interface FilesListing {
  readonly kind: 'files';
  readonly files: readonly ListedFile[];
  /** Paths that may not be looked into or followed, with why. */
  readonly denied: readonly string[];
  readonly left: readonly string[];
}

export interface Listing {
  readonly now: {
    /** By the station's clock, in whole seconds. */
    readonly ms: number;
    readonly zoneMinutes: number;
    /** Its name, where the station has one and we know it. */
    readonly zone?: string | undefined;
    readonly sinceBootMicros: number;
    /** The boot that runs, as the journal writes it. */
    readonly boot: string;
  };
  readonly sources: readonly (JournalListing | FilesListing)[];
}

type Section = readonly [name: string, text: string];

const broken = (): CodedError => new CodedError('LOGS_UNAVAILABLE', 'the station lists its logs in no known form');

/** In their order: the same names come again and again. */
function sectionsOf(output: Buffer): readonly Section[] {
  const sections: Section[] = [];
  for (let at = 0; at < output.length; ) {
    const lineEnd = output.indexOf(0x0a, at);
    const head = output.toString('latin1', at, Math.max(at, lineEnd));
    const [, name = '', size] = /^@([a-z]{1,20}) (\d{1,8})$/.exec(head) ?? [];
    const end = lineEnd + 1 + Number(size);
    if (size === undefined || output[end] !== 0x0a) throw broken();
    sections.push([name, output.toString('latin1', lineEnd + 1, end)]);
    at = end + 1;
  }
  return sections;
}

function readNow(text: string | undefined): Listing['now'] {
  const [, seconds, sign, hours, minutes, uptime, boot, zone = ''] =
    /^(\d{1,12}) ([+-])(\d\d)(\d\d) (\d{1,12}\.?\d{0,9}) ([0-9a-f-]{0,40}) ([A-Za-z0-9_+/-]{0,64})$/.exec(text ?? '') ??
    [];
  if (seconds === undefined) throw broken();
  const ms = Number(seconds) * 1000;
  const zoneMinutes = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  return {
    ms,
    zoneMinutes,
    ...(isZone(zone, ms, zoneMinutes) ? { zone } : {}),
    // It is told in hundredths: a record of the same one counts.
    sinceBootMicros: Math.ceil((Number(uptime) + 0.01) * 1e6),
    boot: (boot ?? '').replaceAll('-', ''),
  };
}

function readFile(text: string): ListedFile {
  const [, inode = '', size, modified, may, path = ''] = /^(\d+:\d+) (\d+) (-?\d+) ([r-]) (.*)$/s.exec(text) ?? [];
  if (inode === '') throw broken();
  return {
    inode,
    sizeBytes: Number(size),
    modifiedMs: Number(modified) * 1000,
    isReadable: may === 'r',
    path,
  };
}

const textsOf = (sections: readonly Section[], wanted: string): readonly string[] =>
  sections.flatMap(([name, text]) => (name === wanted ? [text] : []));

function readSource(kind: string, sections: readonly Section[]): JournalListing | FilesListing {
  if (kind === 'files')
    return {
      kind,
      files: textsOf(sections, 'file').map(readFile),
      denied: textsOf(sections, 'denied'),
      left: textsOf(sections, 'left'),
    };
  if (kind !== 'journal') throw broken();
  const [files = 0, readable = 0] = (textsOf(sections, 'files')[0] ?? '').split(' ').map(Number);
  return {
    kind,
    known: Number(textsOf(sections, 'known')[0] ?? 0),
    boots: textsOf(sections, 'boot').flatMap((text) => readBoot(text) ?? []),
    files,
    readable,
    said: Buffer.from(textsOf(sections, 'err').join(' '), 'latin1').toString('utf8').trim(),
  };
}

/** Throws `LOGS_UNAVAILABLE` for what is no such list. */
export function readListing(output: Buffer): Listing {
  const [first, ...rest] = sectionsOf(output);
  if (first?.[0] !== 'now') throw broken();
  const sources: { kind: string; sections: Section[] }[] = [];
  for (const section of rest) {
    if (section[0] === 'source') sources.push({ kind: section[1], sections: [] });
    else if (sources.length === 0) throw broken();
    else sources.at(-1)?.sections.push(section);
  }
  return { now: readNow(first[1]), sources: sources.map(({ kind, sections }) => readSource(kind, sections)) };
}
