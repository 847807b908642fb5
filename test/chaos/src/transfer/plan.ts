/** What happens to one download: which servers it meets, when its worker is killed or frozen, when the file changes. Pure. */
import type { Random } from '../random.js';
import { type Scheme, SERVERS } from './servers.js';

/** What is done to the worker of one run, once it has so many bytes. */
export type Blow = { readonly kind: 'kill' | 'freeze'; readonly atBytes: number };

/** A server by its name in the table of its scheme. */
export interface Meeting {
  readonly name: string;
  readonly atBytes: number;
}

export interface Run {
  /** The file changes before this run: its new size. */
  readonly changesTo?: number;
  /** As the server tells it, it was changed when it was changed before. */
  readonly keepsTime?: true;
  /** What its connections meet, one after the other; after them an honest server. */
  readonly meets: readonly Meeting[];
  readonly blow?: Blow;
}

export interface Plan {
  readonly scheme: Scheme;
  readonly sizeBytes: number;
  readonly runs: readonly Run[];
}

/** By turns, so that a few seeds in a row meet all. */
const SCHEMES: readonly Scheme[] = ['http', 'ftp', 'sftp', 's3', 'http', 'ftp', 'sftp', 'http'];

const namesOf = (scheme: Scheme): readonly string[] => Object.keys(SERVERS[scheme]);

/** A cut ends a run: what lies about ranges must come first, where something is held. */
const meetingsOf = (random: Random, scheme: Scheme, isFirst: boolean): readonly string[] => {
  const names = namesOf(scheme);
  if (isFirst) return random.chance(0.6) ? [random.pick(names.filter((name) => /cut/.test(name)))] : [];
  return [...(random.chance(0.8) ? [random.pick(names)] : []), ...(random.chance(0.5) ? ['a cut'] : [])];
};

function runOf(random: Random, scheme: Scheme, sizeBytes: number, isFirst: boolean): Run {
  const meets = meetingsOf(random, scheme, isFirst).map((name) => ({ name, atBytes: random.between(1, sizeBytes) }));
  const changesTo = random.chance(0.6) ? sizeBytes : random.between(1, 2 * sizeBytes);
  const atBytes = random.between(1, sizeBytes);
  const isStruck = random.chance(isFirst && meets.length === 0 ? 1 : 0.25);
  const keepsTime = random.chance(0.5);
  const changes = { changesTo, ...(keepsTime ? { keepsTime } : {}) } as const;
  return {
    meets,
    ...(!isFirst && random.chance(0.3) ? changes : {}),
    ...(isStruck ? { blow: { kind: random.chance(0.7) ? 'kill' : 'freeze', atBytes } } : {}),
  };
}

/** The same of the same stream. The last run meets nothing bad. */
export function planOf(seed: number, random: Random): Plan {
  const scheme = SCHEMES[seed % SCHEMES.length] as Scheme;
  const sizeBytes = random.between(1, 1_200_000);
  const first = runOf(random, scheme, sizeBytes, true);
  const more = Array.from({ length: random.between(1, 3) }, () => runOf(random, scheme, sizeBytes, false));
  return { scheme, sizeBytes, runs: [first, ...more, { meets: [] }] };
}

export const describePlan = ({ scheme, sizeBytes, runs }: Plan): string =>
  `${scheme}, ${sizeBytes} bytes; ${runs
    .map(({ changesTo, keepsTime, meets, blow }) =>
      [
        ...(changesTo === undefined ? [] : [`changed to ${changesTo} bytes${keepsTime ? ' of the same time' : ''}`]),
        ...meets.map(({ name }) => name),
        ...(blow ? [`${blow.kind} at ${blow.atBytes}`] : []),
      ].join(', '),
    )
    .map((said) => said || 'nothing')
    .join(' | ')}`;

/** Of servers that give nothing for a moment. */
const REFUSALS: readonly string[] = ['no answer', 'no greeting', 'an overload'];

/** Cuts, kills, stalls and refusals of a plan after which a server that neither lies nor changes lets go on. */
export const isHonest = ({ runs }: Plan): boolean =>
  runs.every(
    ({ changesTo, meets, blow }) =>
      changesTo === undefined &&
      blow?.kind !== 'freeze' &&
      meets.every(({ name }) => /^a(nother)? (cut|stall)$/.test(name) || REFUSALS.includes(name)),
  );

/** How often that happens in runs which may go on all the same. */
export const refusalsOf = ({ runs }: Plan): number =>
  runs.flatMap(({ meets }) => meets).filter(({ name }) => REFUSALS.includes(name)).length;
