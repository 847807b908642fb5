/**
 * Every process, killed, frozen and taken off the network, at every status of an update, a log upload and a reset.
 * `KILL_MATRIX='SIGSTOP of Redis'` (part of a name) runs only those pairs. `CHAOS_LOGS=DIR` keeps what every process logged
 * last when a round breaks.
 */
import { join } from 'node:path';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { ACTS, type Act, actNamed } from '../kill/acts.js';
import { FAULT_KINDS, type Fault, type FaultKind, nameOf, TARGETS, type Target } from '../kill/faults.js';
import { keepStage } from '../kill/keep-stage.js';
import { playRound, type Round } from '../kill/round.js';
import { type Stage, startStage } from '../kill/stage.js';
import { judgeRound } from '../kill/verdict.js';

const FREEZE_MS = 12_000;
const REFUSE_MS = 5000;
/** Rounds in which one status is aimed at; what was missed until then was not tried. */
const ATTEMPTS = { short: 1, long: 4 } as const;

interface Cell {
  readonly target: Target;
  readonly kind: FaultKind;
  readonly acts: readonly Act[];
}

const SHORT: readonly Cell[] = [
  {
    target: 'gateway leader',
    kind: 'SIGKILL',
    acts: ['update-accepted', 'update-installing', 'update-installed', 'upload-accepted', 'reset-asked'].map(actNamed),
  },
];

const everyCell = (): Cell[] =>
  TARGETS.flatMap((target) => FAULT_KINDS.map((kind) => ({ target, kind, acts: ACTS }))).filter((cell) =>
    nameOf(cell).includes(process.env.KILL_MATRIX ?? ''),
  );

const durationOf = (kind: FaultKind): number =>
  ({ SIGKILL: 0, SIGSTOP: FREEZE_MS, 'network refused': REFUSE_MS })[kind];

export const killMatrix: Experiment = {
  name: 'kill-matrix',
  promise:
    'Whatever process is killed, frozen for 12 s or cut off the network at whatever status: one final status, in order, one install, one upload, one reset, and nothing left behind.',
  async run(context) {
    const cells = context.effort === 'short' ? SHORT : everyCell();
    let depot = 0;
    let stage: Stage | undefined;
    const tally: Tally = { slowestQuietMs: 0, slowestTakeoverMs: 0, finalRepeats: 0, extraUploads: 0 };
    for (const { target, kind, acts } of cells) {
      const fault: Fault = { target, kind, forMs: durationOf(kind) };
      let missing = acts;
      for (let attempt = 1; attempt <= ATTEMPTS[context.effort] && missing.length > 0; attempt += 1) {
        depot += stage ? 0 : 1;
        stage ??= await startStage(context, { dir: join(context.dir, `depot-${depot}`) });
        const missed = await attack(context, stage, { acts: missing, faults: [{ fault, at: 0 }] }, tally);
        if (missed.broken) {
          // What a broken round leaves behind is no evidence against the next one.
          await keepStage(stage, `depot-${depot}-${nameOf(fault)}`);
          await stage.stop();
          stage = undefined;
        }
        missing = missing.filter(({ name }) => missed.names.has(name));
      }
      for (const { name } of missing)
        context.skipped(`${nameOf(fault)} at ${name}`, 'the moment was missed every time');
    }
    context.figure('until quiet again, at most', `${(tally.slowestQuietMs / 1000).toFixed(1)} s`);
    if (tally.slowestTakeoverMs > 0)
      context.figure('until another gateway led, at most', `${tally.slowestTakeoverMs} ms`);
    context.figure('final statuses told twice', String(tally.finalRepeats));
    context.figure('archives that arrived twice at a server', String(tally.extraUploads));
  },
};

interface Tally {
  slowestQuietMs: number;
  slowestTakeoverMs: number;
  finalRepeats: number;
  extraUploads: number;
}

/** Which acts were not at their status when it struck; those are judged, but do not count. */
async function attack(
  context: ExperimentContext,
  stage: Stage,
  round: Round,
  tally: Tally,
): Promise<{ names: Set<string>; broken: boolean }> {
  const what = round.faults.map(({ fault }) => nameOf(fault)).join(' and ');
  const played = await playRound(stage, round);
  const { acts, left } = await judgeRound(stage, round, played);
  tally.slowestQuietMs = Math.max(tally.slowestQuietMs, played.quietAfterMs);
  tally.slowestTakeoverMs = Math.max(tally.slowestTakeoverMs, played.takenOverAfterMs ?? 0);
  const missed = new Set<string>();
  let broken = false;
  for (const { name, state, hit, faults, finalRepeats, extraUploads } of acts) {
    tally.finalRepeats += finalRepeats;
    tally.extraUploads += extraUploads;
    if (hit || faults.length > 0) broken = !judge(context, `${what} at ${name} (${state})`, faults) || broken;
    else context.say(`missed ${name}: it was ${state ?? 'not there'}`);
    if (!hit && faults.length === 0) missed.add(name);
  }
  broken = !judge(context, `${what}: nothing left after ${(played.quietAfterMs / 1000).toFixed(1)} s`, left) || broken;
  return { names: missed, broken };
}
