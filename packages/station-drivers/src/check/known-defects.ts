/** Versions of programs at stations with defects that updates would meet, as data. Found by their own word for their version. */
import type { StationVerb } from '../port.js';

export interface KnownDefect {
  readonly program: 'rauc' | 'swupdate';
  /** The first version that does not have it. */
  readonly before: string;
  readonly text: string;
  readonly remedy: string;
  readonly source: string;
  readonly verbs: readonly StationVerb[];
}

const KNOWN_DEFECTS: readonly KnownDefect[] = [
  {
    program: 'rauc',
    before: '1.15.2',
    text: 'plain bundles above 2 GiB are not verified as a whole; they are refused here',
    remedy: 'use the verity format for large bundles, or RAUC 1.15.2',
    source: 'CVE-2026-34155',
    verbs: ['install'],
  },
  {
    program: 'rauc',
    before: '1.11',
    text: 'a service that dies in the middle of an installation leaves status=ok and the old checksum; the slot is written again in full',
    remedy: 'nothing needs to be done; RAUC 1.11 says pending before it writes',
    source: 'seen with 1.8; source of 1.11',
    verbs: ['install'],
  },
  {
    program: 'swupdate',
    before: '2023.12',
    text: 'padding after an image is counted wrongly: the client may fail while the update goes on; it is followed to its end',
    remedy: 'nothing needs to be done',
    source: 'seen with 2022.12; core/cpio_utils.c, 3074e154',
    verbs: ['install'],
  },
  {
    program: 'swupdate',
    before: '2023.12',
    text: 'a request in the moment in which another update ends is taken and never begun; it ends with install_s',
    remedy: 'let nothing else install',
    source: 'core/stream_interface.c, 7e80ad49',
    verbs: ['install'],
  },
];

/** `1.8`, `1.15.2`: numbers by dots, what follows is left out. */
const numbersOf = (version: string): readonly number[] =>
  (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);

/** Negative: the first is older. Pure. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export const defectsOf = (program: KnownDefect['program'], version: string): readonly KnownDefect[] =>
  KNOWN_DEFECTS.filter((defect) => defect.program === program && compareVersions(version, defect.before) < 0);
