/** How entries are chained, and how a chain is verified. Pure. */
import { createHash } from 'node:crypto';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { ChainPoint, SecurityEntry, SecurityFact } from './entry.js';

/** Before the first entry. */
export const GENESIS: ChainPoint = { sequence: 0, hash: '0'.repeat(64) };

/** The one spelling of a value: members in the order of their names, no spaces. RFC 8785, for what entries are made of. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const texts = members
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `"${name}":${canonical(member)}`);
  return `{${texts.join(',')}}`;
}

export const hashOf = ({ hash: _hash, ...rest }: Partial<SecurityEntry>): string =>
  createHash('sha256').update(canonical(rest)).digest('hex');

/** The facts as entries that follow `head`, in their order. */
export function chainOn(head: ChainPoint, facts: readonly SecurityFact[]): SecurityEntry[] {
  let { sequence, hash: previous } = head;
  return facts.map(({ at, station, ...fact }) => {
    sequence += 1;
    const entry = { sequence, at: rfc3339(at), ...(station ? { stationId: station } : {}), ...fact, previous };
    previous = hashOf(entry);
    return { ...entry, hash: previous };
  });
}

/**
 * `hash`: an entry is not what was chained. `link`: it does not follow the one before. `gap`: entries are missing. `cut`: the end is
 * missing. `anchor`: what was noted outside is something else.
 */
export type ChainFault = 'hash' | 'link' | 'gap' | 'cut' | 'anchor';

export interface ChainVerdict {
  readonly ok: boolean;
  /** Entries that are as they were chained, from the first on. */
  readonly entries: number;
  readonly first?: number;
  readonly last?: ChainPoint;
  readonly fault?: { readonly kind: ChainFault; readonly sequence: number };
}

export interface VerifyOptions {
  /** The newest entry that was removed; absent: the chain begins with its first entry. */
  readonly checkpoint?: ChainPoint | undefined;
  /** Noted outside: manifests of archives, log lines, the head of a running depot. */
  readonly anchors?: readonly ChainPoint[];
  /** Some of the entries alone, as those of one station: each counts by itself. */
  readonly isPartial?: boolean;
}

/** Entries are given in their order, as they come. */
export function createVerifier({ checkpoint, anchors = [], isPartial = false }: VerifyOptions = {}) {
  const anchorAt = new Map(anchors.map((anchor) => [anchor.sequence, anchor.hash]));
  let before: ChainPoint | undefined = isPartial ? undefined : (checkpoint ?? GENESIS);
  let entries = 0;
  let first: number | undefined;
  let fault: ChainVerdict['fault'];

  const faultOf = (entry: SecurityEntry): ChainFault | undefined => {
    const { sequence, hash, previous } = entry;
    if (hashOf(entry) !== hash) return 'hash';
    if (before && (isPartial ? sequence <= before.sequence : sequence !== before.sequence + 1)) return 'gap';
    if (before && sequence === before.sequence + 1 && previous !== before.hash) return 'link';
    const anchored = anchorAt.get(sequence);
    return anchored !== undefined && anchored !== hash ? 'anchor' : undefined;
  };

  return {
    /** `false`: something is wrong, and what follows says nothing any more. */
    add(entry: SecurityEntry): boolean {
      const kind = fault ? undefined : faultOf(entry);
      if (kind) fault = { kind, sequence: entry.sequence };
      if (fault) return false;
      first ??= entry.sequence;
      entries += 1;
      before = { sequence: entry.sequence, hash: entry.hash };
      return true;
    },
    end(): ChainVerdict {
      const last = before?.sequence ?? 0;
      const beyond = anchors.filter(({ sequence }) => sequence > last).map(({ sequence }) => sequence);
      if (!fault && !isPartial && beyond.length > 0) fault = { kind: 'cut', sequence: last + 1 };
      // What is older than the chain can be compared where the chain begins, and nowhere else.
      if (!fault && checkpoint && (anchorAt.get(checkpoint.sequence) ?? checkpoint.hash) !== checkpoint.hash)
        fault = { kind: 'anchor', sequence: checkpoint.sequence };
      return {
        ok: fault === undefined,
        entries,
        ...(first === undefined ? {} : { first }),
        ...(before && entries > 0 ? { last: before } : {}),
        ...(fault ? { fault } : {}),
      };
    },
  };
}
