/** Which schedules are tried: all with few deviations from the plain one, or random ones. */
import type { Random } from '../random.js';
import type { Actor, Choose } from './scheduler.js';

/** Where a schedule deviates from the plain one: at this choice, to this one of those that were ready. */
export interface Deviation {
  readonly at: number;
  readonly to: number;
}

export interface Followed {
  readonly choose: Choose;
  /** For every choice after the last deviation: how many could have been chosen instead. */
  readonly others: number[];
}

/**
 * Follow these deviations, and note what else could have been chosen after the last of them. The plain schedule lets
 * every actor go on for as long as it can, in the order of the cast; one that was passed over at a deviation stands still
 * until all others have come to rest, or a deviation chooses it.
 */
export function follow(deviations: readonly Deviation[]): Followed {
  const others: number[] = [];
  const passedOver = new Set<Actor>();
  const last = deviations.at(-1)?.at ?? -1;
  let count = 0;
  const choose: Choose = (ready, current) => {
    const at = count++;
    const usual = current ?? ready.find((actor) => !passedOver.has(actor)) ?? (ready[0] as Actor);
    const rest = ready.filter((actor) => actor !== usual);
    others[at] = at > last ? rest.length : 0;
    const deviation = deviations.find((one) => one.at === at);
    const chosen = (deviation && rest[deviation.to]) ?? usual;
    if (chosen !== usual) passedOver.add(usual);
    passedOver.delete(chosen);
    return chosen;
  };
  return { choose, others };
}

/** Every schedule with one deviation more than this one, which has been run. */
export const deviateFurther = (deviations: readonly Deviation[], { others }: Followed): Deviation[][] =>
  others.flatMap((count, at) => Array.from({ length: count }, (_none, to) => [...deviations, { at, to }]));

/** Anybody who can go on goes on, each as likely. */
const anybody =
  (random: Random): Choose =>
  (ready) =>
    random.pick(ready);

/** Each actor has a rank; the first in rank goes on, and a few times the first becomes the last. */
function byRank(random: Random, changes: number, length: number): Choose {
  const ranks = new Map<string, number>();
  const changeAt = new Set(Array.from({ length: changes }, () => random.between(0, length)));
  let count = 0;
  let lowest = 0;
  return (ready) => {
    const rankOf = ({ name }: Actor): number => {
      const rank = ranks.get(name) ?? random.next();
      ranks.set(name, rank);
      return rank;
    };
    const first = (): Actor => ready.reduce((best, actor) => (rankOf(actor) > rankOf(best) ? actor : best));
    if (changeAt.has(count++)) ranks.set(first().name, --lowest);
    return first();
  };
}

/** Goes on with the same one mostly. */
function inRuns(random: Random, change: number): Choose {
  return (ready, current) => (current && !random.chance(change) ? current : random.pick(ready));
}

/** A random way to choose, of one of several temperaments. */
export function randomly(random: Random): Choose {
  const temper = random.between(0, 3);
  if (temper === 0) return anybody(random);
  if (temper === 1) return inRuns(random, 0.1);
  if (temper === 2) return inRuns(random, 0.3);
  return byRank(random, random.between(1, 5), 200);
}
