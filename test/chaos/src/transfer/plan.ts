/** What happens to one download: which servers it meets, when its worker is killed or frozen, when the file changes. Pure. */
import type { Behaviour } from '@khumbu/test-support/origin';
import type { Random } from '../random.js';

/** What is done to the worker of one run, once it has so many bytes. */
export type Blow = { readonly kind: 'kill' | 'freeze'; readonly atBytes: number };

export interface Run {
  /** The file changes before this run: its new size. */
  readonly changesTo?: number;
  /** What its requests meet, one after the other; after them an honest server. */
  readonly meets: readonly { readonly name: string; readonly behaviour: Behaviour }[];
  readonly blow?: Blow;
}

export interface Plan {
  readonly sizeBytes: number;
  readonly runs: readonly Run[];
}

type Make = (random: Random, sizeBytes: number) => Behaviour;

const SERVERS: Readonly<Record<string, Make>> = {
  'a cut': (random, size) => ({ cutAfterBytes: random.between(1, size) }),
  'another cut': (random, size) => ({ cutAfterBytes: random.between(1, size) }),
  'a cut without validators': (random, size) => ({
    cutAfterBytes: random.between(1, size),
    etag: 'none',
    lastModified: false,
  }),
  'a cut by date alone': (random, size) => ({ cutAfterBytes: random.between(1, size), etag: 'none' }),
  'a cut with one ETag for everything': (random, size) => ({ cutAfterBytes: random.between(1, size), etag: '"one"' }),
  'one ETag for everything': () => ({ etag: '"one"' }),
  'a stall': (random, size) => ({ stallAfterBytes: random.between(0, size - 1) }),
  'no answer': () => ({ noAnswer: true }),
  'an overload': () => ({ status: 503 }),
  'no ranges': () => ({ ranges: false }),
  'weak ETags': () => ({ etag: 'weak' }),
  'no length': () => ({ contentLength: false }),
  'another range': () => ({ lie: 'later' }),
  'all of it as a part': () => ({ lie: 'from_zero' }),
  'no Content-Range': () => ({ lie: 'unsaid' }),
  'another total': () => ({ lie: 'other_total' }),
  'no total': () => ({ lie: 'no_total' }),
  'a portion': () => ({ lie: 'portion' }),
  'a coding nobody asked for': () => ({ headers: { 'content-encoding': 'gzip' } }),
};
const NAMES = Object.keys(SERVERS);

const CUTS = NAMES.filter((name) => /cut/.test(name));

/** A cut ends a run: what lies about ranges must come first, where something is held. */
const namesOf = (random: Random, isFirst: boolean): readonly string[] => {
  if (isFirst) return random.chance(0.6) ? [random.pick(CUTS)] : [];
  return [...(random.chance(0.8) ? [random.pick(NAMES)] : []), ...(random.chance(0.5) ? ['a cut'] : [])];
};

function runOf(random: Random, sizeBytes: number, isFirst: boolean): Run {
  const meets = namesOf(random, isFirst).map((name) => {
    return { name, behaviour: (SERVERS[name] as Make)(random, sizeBytes) };
  });
  const changesTo = random.chance(0.6) ? sizeBytes : random.between(1, 2 * sizeBytes);
  const atBytes = random.between(1, sizeBytes);
  const isStruck = random.chance(isFirst && meets.length === 0 ? 1 : 0.25);
  return {
    meets,
    ...(!isFirst && random.chance(0.3) ? { changesTo } : {}),
    ...(isStruck ? { blow: { kind: random.chance(0.7) ? 'kill' : 'freeze', atBytes } } : {}),
  };
}

/** The same of the same stream. The last run meets nothing bad. */
export function planOf(random: Random): Plan {
  const sizeBytes = random.between(1, 1_200_000);
  const first = runOf(random, sizeBytes, true);
  const more = Array.from({ length: random.between(1, 3) }, () => runOf(random, sizeBytes, false));
  return { sizeBytes, runs: [first, ...more, { meets: [] }] };
}

export const describePlan = ({ sizeBytes, runs }: Plan): string =>
  `${sizeBytes} bytes; ${runs
    .map(({ changesTo, meets, blow }) =>
      [
        ...(changesTo === undefined ? [] : [`changed to ${changesTo} bytes`]),
        ...meets.map(({ name }) => name),
        ...(blow ? [`${blow.kind} at ${blow.atBytes}`] : []),
      ].join(', '),
    )
    .map((said) => said || 'nothing')
    .join(' | ')}`;

/** Cuts, kills and stalls of a plan after which a server that neither lies nor changes lets go on. */
export const isHonest = ({ runs }: Plan): boolean =>
  runs.every(
    ({ changesTo, meets, blow }) =>
      changesTo === undefined &&
      blow?.kind !== 'freeze' &&
      meets.every(({ name }) => /^a(nother)? (cut|stall)$/.test(name)),
  );
