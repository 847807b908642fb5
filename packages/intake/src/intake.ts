/**
 * The intake answers what stations ask, in milliseconds, from stored state alone. Its functions are called by the
 * MQTT bridge and by REST alike: read, decide (a pure function next door), commit, and hand back the answer together
 * with what remains to be done once the answer is out. They reject with `NOT_STORED` when nothing may be built on the
 * decision; the station is then answered by default.
 */
import { randomUUID } from 'node:crypto';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import type { Store } from '@khumbu/operations/kinds/store';
import { createAdmission } from './admission.js';
import { createBootReasons } from './boot-reasons.js';
import { createCancellations } from './cancellations.js';
import { createClocks } from './clocks.js';
import { createLogUploads } from './log-uploads.js';
import { createNetworks } from './networks.js';
import { createQuestions, type Questions } from './questions.js';
import type { Answer, IntakeDeps } from './requester.js';
import { createResets } from './resets.js';
import { createUpdates } from './updates.js';

export type Intake = ReturnType<typeof createIntake>;

export function createIntake(deps: IntakeDeps) {
  const admission = createAdmission(deps);
  const { noteTime, setSystemTime } = createClocks(deps, admission);

  /** The answer is out: let what follows from it begin. Safe to repeat. */
  const confirm = async ({ followUp }: Answer): Promise<void> => {
    switch (followUp?.kind) {
      case 'confirm':
        return admission.confirm(followUp.operationId, followUp.offered);
      case 'begin':
        if (followUp.record && !isEnded(followUp.record)) await deps.jobs.ensure(followUp.record);
        return;
      case 'set_time':
        return noteTime(followUp);
    }
  };

  return {
    ...createUpdates(deps, admission),
    ...createLogUploads(deps, admission),
    ...createNetworks(admission),
    ...createResets(deps, admission),
    setSystemTime,
    ...createBootReasons(admission),
    ...createCancellations(deps, admission),
    ...createQuestions(deps, admission),
    /** The questions again, asked of a store of its own: whoever only looks takes nothing from those who wait for a decision. */
    questionsOver: (store: Store): Questions =>
      createQuestions(deps, createAdmission({ ...deps, desk: { ...deps.desk, store } })),
    confirm,
    /** The default was sent although a decision was stored after all. Rejects until it is taken back. */
    revoke: admission.revoke,
    /** An offer was answered, and the connection ended before anybody said that it was heard. Rejects when that is not stored. */
    noteAnswerSent: admission.noteAnswerSent,
    /** What the same request was answered before. Rejects when that cannot be read now. */
    storedAnswer: admission.storedAnswer,
    /** Defaults that were told but could not be stored. Rejects until they are. */
    persistDefaultReplies: admission.persistDefaultReplies,
  };
}

/** A key for a request that nobody can be answered for; never found again. */
export const anonymousAnswerKey = (): string => `none-${randomUUID()}`;
