/** What is done to one update, by its seed alone. Pure. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { createRandom, type Random } from '../random.js';
import type { Behaviour, Outcome } from './charger.js';

/**
 * `mayFail`: the update may then truly fail at the station. `ssh`: it is about the way to the station. `tool`: the update tool
 * ends in the middle of what it does.
 */
export const FAULTS = {
  'kill the worker': {},
  'freeze the worker': {},
  'another worker': {},
  'kill the sessions': { ssh: true },
  'kill the sessions and their commands': { ssh: true },
  'cut the connection': { ssh: true },
  'take connections and never answer': { ssh: true },
  'let nothing pass': { ssh: true },
  'kill the service': { mayFail: true, tool: true },
  'keep the service away': { mayFail: true, tool: true },
  'kill the client': { tool: true },
  'kill the process of the effect': { mayFail: true },
  'kill the command of the effect': { mayFail: true },
  'kill all of the effect': { mayFail: true },
  'fill the state folder': { mayFail: true },
} as const satisfies Readonly<Record<string, { readonly mayFail?: true; readonly ssh?: true; readonly tool?: true }>>;

export type FaultName = keyof typeof FAULTS;
const NAMES = Object.keys(FAULTS) as FaultName[];

/** `Installing`: the worker is about to install; `effect`: the station does. */
export const PHASES = ['Accepted', 'Installing', 'effect', 'InstallRebooting'] as const;
export type Phase = (typeof PHASES)[number];

export interface PlannedFault {
  readonly name: FaultName;
  /** It comes so long after the phase began; on a busy machine as well as on an idle one it meets that phase. */
  readonly phase: Phase;
  readonly atMs: number;
  readonly forMs: number;
  /** Of what passes from then on; a cut alone. */
  readonly afterBytes: number;
}

export interface Plan {
  readonly seed: number;
  readonly transport: RealDriverEntry['transport'];
  readonly behaviour: Behaviour;
  /** Of the install, kept at the station. */
  readonly installS: number;
  readonly workers: number;
  readonly startsAtOnce: number;
  /** The update is given up from outside. */
  readonly givenUp?: Pick<PlannedFault, 'phase' | 'atMs'>;
  readonly faults: readonly PlannedFault[];
}

const OUTCOMES: readonly Outcome[] = ['good', 'good', 'good', 'good', 'good', 'good', 'unfit', 'breaks', 'falls back'];
const IMAGE_BYTES = 800_000;

function planFault(random: Random, names: readonly FaultName[], spanMs: number): PlannedFault {
  const name = random.pick(names);
  return {
    name,
    phase: random.pick(PHASES),
    atMs: random.between(0, spanMs),
    forMs: random.between(100, name === 'let nothing pass' ? 4500 : 1500),
    afterBytes: random.chance(0.5) ? random.between(0, 12_000) : random.between(0, IMAGE_BYTES),
  };
}

/** `faults`: those that are possible there. */
export function planOf(seed: number, possible: (name: FaultName) => boolean): Plan {
  const random = createRandom(seed).fork('drivers');
  const transport = random.chance(0.8) ? 'ssh' : 'local';
  const isLate = random.chance(0.06);
  const behaviour: Behaviour = {
    outcome: isLate ? 'good' : random.pick(OUTCOMES),
    installMs: isLate ? 3500 : random.between(30, 700),
    rebootMs: random.between(10, 300),
  };
  const spanMs = Math.min(behaviour.installMs, 1000) + 400;
  const names = NAMES.filter((name) => possible(name) && (transport === 'ssh' || !('ssh' in FAULTS[name])));
  return {
    seed,
    transport,
    behaviour,
    installS: isLate ? 1 : 120,
    workers: random.chance(0.25) ? 2 : 1,
    startsAtOnce: random.chance(0.25) ? 2 : 1,
    ...(random.chance(0.12) ? { givenUp: { phase: random.pick(PHASES), atMs: random.between(0, spanMs) } } : {}),
    faults: Array.from({ length: random.between(1, 3) }, () => planFault(random, names, spanMs)),
  };
}

/** So often a profile runs its tool anew before it gives up. */
const TRIES = 3;

/** The tool itself was ended: what it had done by then is not believed. */
export const endsTool = ({ faults }: Plan): boolean => faults.some(({ name }) => 'tool' in FAULTS[name]);
export const mayFail = ({ faults }: Plan): boolean =>
  faults.some(({ name }) => 'mayFail' in FAULTS[name]) ||
  faults.filter(({ name }) => 'tool' in FAULTS[name]).length >= TRIES;

const whenOf = ({ phase, atMs }: Pick<PlannedFault, 'phase' | 'atMs'>): string => `${atMs} ms into ${phase}`;
const textOf = (fault: PlannedFault): string =>
  fault.name === 'cut the connection'
    ? `${fault.name} ${fault.afterBytes} bytes from ${whenOf(fault)}`
    : `${fault.name} ${whenOf(fault)} (${fault.forMs} ms)`;

export function describePlan({ transport, behaviour, workers, startsAtOnce, installS, givenUp, faults }: Plan): string {
  const more = [
    ...(workers > 1 ? [`${workers} workers`] : []),
    ...(startsAtOnce > 1 ? ['each start twice'] : []),
    ...(installS === 1 ? ['out of time'] : []),
    ...(givenUp ? [`given up ${whenOf(givenUp)}`] : []),
  ];
  return [`${transport}, ${behaviour.outcome}`, ...more, ...faults.map(textOf)].join('; ');
}
