/** All children together: started phase by phase, stopped phase by phase, each phase at once. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type ChildSpec, type ManagedChild, type ManagedChildPorts, manageChild } from './managed-child.js';
import { type Say, tellWhile } from './progress.js';

/** Children that start together once those of earlier phases are ready, and the order in which they stop. */
export interface Phase {
  readonly what: string;
  readonly children: readonly (ChildSpec & { readonly stopRank: number })[];
}

export interface SupervisorOptions extends ManagedChildPorts {
  readonly phases: readonly Phase[];
  /** A line of progress; `say` is for what has to be known in any case. */
  readonly progress: Say;
  readonly later: readonly Phase[];
  /** Until all children are ready. */
  readonly startMs: number;
}

const STILL_STARTING_MS = 5000;

export function createSupervisor(options: SupervisorOptions) {
  const running: { child: ManagedChild; rank: number }[] = [];

  async function startPhase(phase: Phase, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!options.later.includes(phase)) options.progress(`Starting ${phase.what} ...`);
    const waiting = new Set(phase.children.map((spec) => spec.name));
    const failed = new AbortController();
    const deadline = deadlineAfter(options.startMs);
    const end = AbortSignal.any([signal, deadline.signal, failed.signal]);
    try {
      const all = Promise.all(
        phase.children.map(async ({ stopRank: rank, ...spec }) => {
          const child = manageChild(spec, options);
          running.push({ child, rank });
          await child.start(end);
          waiting.delete(spec.name);
        }),
      );
      await tellWhile(options.progress, () => `Waiting for ${[...waiting].join(', ')}`, all, STILL_STARTING_MS);
    } catch (error) {
      failed.abort();
      if (signal.aborted || !deadline.signal.aborted) throw error;
      const late = [...waiting].map((name) => `${name} (${options.logPath(name)})`).join(', ');
      throw new CodedError('START_TOO_LATE', `not ready after ${options.startMs / 1000} s: ${late}`);
    } finally {
      deadline.clear();
    }
  }

  return {
    /** Resolves when every child is ready. Rejects with `CHILD_FAILED` or `START_TOO_LATE`; stop it then. */
    async start(signal: AbortSignal): Promise<void> {
      for (const phase of options.phases) await startPhase(phase, signal);
    },
    /** Start what is not waited for; a failure is reported, and changes nothing else. Never rejects. */
    async startLater(signal: AbortSignal): Promise<void> {
      try {
        for (const phase of options.later) await startPhase(phase, signal);
      } catch (error) {
        if (!signal.aborted) options.say(describeError(error));
      }
    },
    /** Stop all, lowest rank first. Safe to repeat. */
    async stop(): Promise<void> {
      const ranks = [...new Set(running.map((entry) => entry.rank))].sort((a, b) => a - b);
      for (const rank of ranks)
        await Promise.all(running.filter((entry) => entry.rank === rank).map(({ child }) => child.stop()));
    },
    /** Kill all at once. */
    async kill(): Promise<void> {
      await Promise.all(running.map(({ child }) => child.stop(true)));
    },
  };
}
