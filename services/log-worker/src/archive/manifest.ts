/** `manifest.json`, the last member of an archive: what is in it, and what is not. Members in snake_case, times as RFC 3339. */
import type { LogNote, LogType } from '@khumbu/station-drivers/port';

/** What is said of an archive before anything is read. */
export interface ArchiveManifest {
  readonly station: string;
  readonly type: LogType;
  /** Bounds as asked, each inclusive; an absent one is open. */
  readonly window: { readonly oldest?: Date; readonly latest?: Date };
  /** Also the time of every member. */
  readonly created: Date;
  /** Versions: of Khumbu, and of what the station runs. */
  readonly software?: {
    readonly khumbu: string;
    readonly station?: { readonly version?: string; readonly boot_id: string; readonly slot?: string };
  };
  /** The end of the chain of what the depot did, see the security log. */
  readonly security_log?: { readonly sequence: number; readonly hash: string };
}

/** Something that is not in the archive, or not as it was at the station. `code`: a word of `LogNote`, or of an error. */
export interface ArchiveNote {
  readonly source: string;
  readonly part?: string;
  readonly code: string;
  /** For people; no secrets. */
  readonly text: string;
}

export interface MemberFacts {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface SourceFacts {
  readonly name: string;
  /** Of the members, so after redaction. */
  readonly bytes: number;
  readonly records: number;
  readonly members: number;
  /** Of all its members one after the other: `cat journal/* | sha256sum`. */
  readonly sha256: string;
  /** It broke off, or could not be read; `left_out` says why. */
  readonly failed?: true;
}

/** Notes by which something is there that a reader has to know of; all others say what is not there. */
const IS_THERE: ReadonlySet<string> = new Set<LogNote['code']>([
  'rotated',
  'grew',
  'clock_set_back',
  'overlap',
  'by_file_time',
  'zone_unknown',
]);

export interface ManifestInput {
  readonly manifest: ArchiveManifest;
  readonly sources: readonly SourceFacts[];
  readonly members: readonly MemberFacts[];
  /** Redacted. */
  readonly notes: readonly ArchiveNote[];
  /** How often each rule of redaction found something; absent: none is in force. */
  readonly redaction?: Readonly<Record<string, number>> | undefined;
}

export function manifestText({ manifest, sources, members, notes, redaction = {} }: ManifestInput): string {
  const isLeftOut = ({ code }: ArchiveNote): boolean => !IS_THERE.has(code);
  const content = {
    ...manifest,
    sources,
    members,
    left_out: notes.filter(isLeftOut),
    notes: notes.filter((note) => !isLeftOut(note)),
    redaction,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}
