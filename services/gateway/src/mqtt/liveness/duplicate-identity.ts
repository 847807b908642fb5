/**
 * Two stations that use one identity, from what the leader receives: counts of heartbeats that begin anew too often, a count
 * that was given up and goes on, two modules that answer one question. Pure; times are monotonic milliseconds of the
 * leader's process.
 */
import type { Presence } from './presence.js';

/** Nothing restarts this often: two stations count beside each other. */
const DUPLICATE_RESTARTS = 6;
const RESTARTS_WINDOW_MS = 10_000;
/** A count that was given up and goes on, or one that begins anew above 0, this often, is another station's. */
const DUPLICATE_RESUMPTIONS = 2;
const RESUMPTIONS_WINDOW_MS = 30_000;
/** Where nothing shows that it is over, it is over after this. */
const DUPLICATE_OVER_MS = 60_000;
/** One of them has gone when so many heartbeats came in line... */
const BEATS_ALONE = 2;
/** ...and that for so many times as long as the evidence, of which the newest few are looked at, ever paused. */
const PAUSES_ALONE = 1.5;
const NEWEST = 4;

type Evidence = Pick<Presence, 'restarts' | 'resumptions' | 'twoModulesAt'>;

/** Heartbeat ids began anew, and it was no restart of ours. No boot counts from more than 0. */
export function restartCounted<P extends Presence>(presence: P, id: number, at: number): P {
  const restarts = [...presence.restarts, at].slice(-DUPLICATE_RESTARTS);
  return { ...presence, restarts, beatsInLine: 0, ...(id > 0 ? { resumptions: oneMore(presence, at) } : {}) };
}

/** The resumptions with one more. */
export const oneMore = ({ resumptions }: Pick<Presence, 'resumptions'>, at: number): readonly number[] =>
  [...resumptions, at].slice(-DUPLICATE_RESUMPTIONS);

/** All of the last `count` happened within the window, and not long ago. */
function piledUp(times: readonly number[], count: number, windowMs: number, now: number): boolean {
  const oldest = times.at(-count);
  const newest = times.at(-1);
  if (oldest === undefined || newest === undefined) return false;
  return newest - oldest < windowMs && now - newest < DUPLICATE_OVER_MS;
}

const twoCounts = ({ restarts, resumptions }: Omit<Evidence, 'twoModulesAt'>, now: number): boolean =>
  piledUp(restarts, DUPLICATE_RESTARTS, RESTARTS_WINDOW_MS, now) ||
  piledUp(resumptions, DUPLICATE_RESUMPTIONS, RESUMPTIONS_WINDOW_MS, now);

/** Two stations answer to one name: nothing may be done with either. */
export const hasDuplicateIdentity = (evidence: Evidence, now: number): boolean =>
  twoCounts(evidence, now) || (evidence.twoModulesAt !== undefined && now - evidence.twoModulesAt < DUPLICATE_OVER_MS);

/**
 * One more heartbeat in line. When one of two that were heard to count is not heard any more, it has gone. Two that only
 * answered a question together are judged by what they answer next.
 */
export function beatInLine(presence: Presence, now: number): Presence {
  if (!twoCounts(presence, now)) return presence;
  const { restarts, resumptions, twoModulesAt: _seen, beatsInLine = 0, ...rest } = presence;
  const beats = beatsInLine + 1;
  const evidence = [...restarts, ...resumptions].sort((a, b) => a - b).slice(-NEWEST);
  const pauses = evidence.slice(1).map((at, index) => at - (evidence[index] ?? at));
  const quietMs = now - (evidence.at(-1) ?? now);
  const isAlone = beats >= BEATS_ALONE && quietMs >= PAUSES_ALONE * Math.max(0, ...pauses);
  return isAlone ? { ...rest, restarts: [], resumptions: [] } : { ...presence, beatsInLine: beats };
}

/** One question to all modules of this id was answered by two. */
export const twoModulesAnswered = (presence: Presence, now: number): Presence => ({
  ...presence,
  twoModulesAt: now,
  beatsInLine: 0,
});

/** A question that was asked at `askedAt` was answered by one module alone. */
export function oneModuleAnswered(presence: Presence, askedAt: number): Presence {
  const { twoModulesAt, ...rest } = presence;
  return twoModulesAt !== undefined && twoModulesAt < askedAt ? rest : presence;
}
