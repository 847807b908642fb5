/**
 * Runs several actors so that exactly one gets on at a time. Everything an actor does to the world goes through a gate;
 * the scheduler opens one gate, waits until that actor stands before its next one (or is done), and chooses again. Time
 * is a number: it rises by one with every gate, and jumps when everybody waits for it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { within } from '@khumbu/test-support/events';

/** Longer than any real wait between two gates (the pause of a lost race is the longest). */
const STILL_MS = 20_000;
/** More gates than any schedule needs: actors that chase each other for ever. */
const MOST_GATES = 6000;

export interface GateOptions {
  /** Closed until this holds; it may change whenever another gate was passed or time went on. */
  readonly opens?: () => boolean;
  /** The time at which it opens by itself; `undefined`: time alone does not open it. */
  readonly opensAt?: () => number | undefined;
}

interface Gate extends GateOptions {
  readonly label: string;
  readonly pass: () => Promise<void>;
  readonly fail: (error: Error) => void;
}

/**
 * Who goes on where nothing else is chosen: before all others, or only when not even time can bring the others on.
 */
export type Rank = 'first' | 'late';

export interface Actor {
  readonly name: string;
  /** Does nothing ever again: the process was killed. */
  dead: boolean;
  /** Stands still until it is cleared: the process is stopped, or its machine is. */
  frozen: boolean;
  /** What its body threw. */
  error?: unknown;
  readonly waiting: Gate[];
  done: boolean;
}

/** Who goes on. `current` is among `ready` if it can go on. */
export type Choose = (ready: readonly Actor[], current: Actor | undefined, label: (actor: Actor) => string) => Actor;

export interface Scheduler {
  readonly now: () => number;
  /** Time jumps, seen by everybody. */
  advance(ms: number): void;
  readonly gatesPassed: () => number;
  spawn(name: string, body: (actor: Actor) => Promise<void>, rank?: Rank): Actor;
  /** Wait for the actor's turn, then do this; no other actor does anything meanwhile. */
  gate<T>(actor: Actor, label: string, act: () => Promise<T> | T, options?: GateOptions): Promise<T>;
  /** Until no actor can go on, whatever the time; or until time has jumped this often, where an actor asks for ever. */
  run(choose: Choose, mostJumps?: number): Promise<void>;
  /** No gate can be passed any more: what waits before one fails, so that nothing is left behind. */
  close(): void;
  readonly actors: readonly Actor[];
  /** `actor label`, in the order in which gates were passed. */
  readonly trace: readonly string[];
}

/** When a gate opens by time alone. */
function nextTime(living: readonly Actor[], now: number): number | undefined {
  const times = living.flatMap(({ waiting }) =>
    waiting.filter((one) => !isOpen(one)).map(({ opensAt }) => opensAt?.()),
  );
  const next = Math.min(...times.filter((time) => time !== undefined));
  return Number.isFinite(next) ? Math.max(now + 1, next) : undefined;
}

const OVER = new Error('the schedule is over');

export class StuckError extends Error {}

const isOpen = ({ opens }: Gate): boolean => opens?.() ?? true;
const firstOpen = (actor: Actor): Gate | undefined => actor.waiting.find(isOpen);

export function createScheduler(startAt: number): Scheduler {
  const actors: Actor[] = [];
  const trace: string[] = [];
  let now = startAt;
  const ranks = new Map<Actor, Rank>();
  const ranked = (list: readonly Actor[], rank?: Rank): Actor[] => list.filter((actor) => ranks.get(actor) === rank);
  let stir = (): void => undefined;
  let closed = false;

  const gate: Scheduler['gate'] = (actor, label, act, options = {}) =>
    new Promise((resolve, reject) => {
      if (closed) return reject(OVER);
      const pass = async (): Promise<void> => {
        try {
          resolve(await act());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      actor.waiting.push({ label, pass, fail: reject, ...options });
      stir();
    });

  /** The actor has done what it can without passing another gate. */
  const stands = async (actor: Actor): Promise<void> => {
    await turn();
    while (!actor.done && actor.waiting.length === 0) {
      const stirred = new Promise<void>((resolve) => {
        stir = resolve;
      });
      await within(stirred, STILL_MS, `${actor.name} to reach its next gate`);
      await turn();
    }
  };

  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
    gatesPassed: () => trace.length,
    actors,
    trace,
    spawn(name, body, rank) {
      const actor: Actor = { name, dead: false, frozen: false, waiting: [], done: false };
      if (rank) ranks.set(actor, rank);
      actors.push(actor);
      void body(actor)
        .catch((error: unknown) => {
          actor.error = error;
        })
        .finally(() => {
          actor.done = true;
          stir();
        });
      return actor;
    },
    gate,
    close() {
      closed = true;
      for (const { waiting } of actors) for (const { fail } of waiting.splice(0)) fail(OVER);
    },
    async run(choose, mostJumps = Number.POSITIVE_INFINITY) {
      const time: Actor = { name: 'time', dead: false, frozen: false, waiting: [], done: false };
      for (const actor of actors) if (!actor.dead) await stands(actor);
      let current: Actor | undefined;
      for (let jumps = 0; ; ) {
        const living = actors.filter((actor) => !actor.dead && !actor.frozen);
        const open = living.filter((actor) => firstOpen(actor) !== undefined);
        const early = [...ranked(open, 'first'), ...ranked(open)];
        const next = nextTime(living, now);
        const ready = [...early, ...(next === undefined ? [] : [time]), ...ranked(open, 'late')];
        if (ready.length === 0) return;
        if (trace.length > MOST_GATES) throw new StuckError('the actors do not come to rest');
        const still = ready.find((actor) => actor === current && actor !== time);
        const chosen = choose(ready, still, (actor) => firstOpen(actor)?.label ?? 'goes on');
        current = chosen;
        if (chosen === time) {
          if (++jumps > mostJumps) return;
          now = Math.max(now + 1, next ?? 0);
          trace.push('time goes on');
          continue;
        }
        const gatePassed = firstOpen(chosen) as Gate;
        chosen.waiting.splice(chosen.waiting.indexOf(gatePassed), 1);
        trace.push(`${chosen.name} ${gatePassed.label}`);
        now += 1;
        await gatePassed.pass();
        await stands(chosen);
      }
    },
  };
}
