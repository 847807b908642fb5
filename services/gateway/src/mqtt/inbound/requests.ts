/** Requests of stations that are answered. */
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import type { Decoded } from '@khumbu/shared/contract/codec';
import { replyTopic } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import { type BootCounter, bootQueue } from '../liveness/boot-counter.js';
import type { BootSigns } from '../liveness/boot-signs.js';
import type { Station } from '../liveness/station.js';
import { stillWaits } from '../session/backlog-marker.js';
import type { Incoming } from '../session/incoming.js';
import type { Answering } from './answering.js';
import { bootQuestion } from './boot-question.js';
import type { Refusals } from './refusals.js';
import { dialectShownBy } from './shown-dialect.js';

type Deps = Pick<Core, 'intake' | 'prefix' | 'registry' | 'backlogMarker' | 'backlogMs'> & {
  readonly answer: Answering;
  readonly refusals: Refusals;
  readonly bootCounter: BootCounter;
  readonly signs: BootSigns;
};

export type HandleRequest = ReturnType<typeof createRequests>;

export function createRequests(deps: Deps) {
  const { intake, prefix, registry, answer, refusals, bootCounter, signs, backlogMarker, backlogMs } = deps;

  /** Stored before the request is served, so that its statuses are already in the station's dialect. */
  const learnDialect = async (entry: Station, name: RequestChannelName, payload: unknown): Promise<void> => {
    const shown = dialectShownBy(name, payload);
    if (!shown || entry.learnedDialect === shown) return;
    entry.learnedDialect = shown;
    entry.dirty = true;
    await registry.storeSoon(entry);
  };

  return async (
    name: RequestChannelName,
    entry: Station,
    message: Incoming,
    decoded: Pick<Decoded & { ok: true }, 'payload' | 'replyTo'>,
  ): Promise<void> => {
    const { station } = entry;
    const { payload: bytes, topic, dup, acknowledge } = message;
    const to = decoded.replyTo === undefined ? undefined : replyTopic(prefix, entry, decoded.replyTo);
    if (decoded.replyTo !== undefined && to === undefined)
      return refusals.bad(topic, 'the reply topic is not the station’s own');
    const isOld = !backlogMarker.isPassed() && !stillWaits(entry.presence.communication, backlogMs / 1000);
    // If it has not given up, it need not wait any longer; nothing follows from the request either way.
    const refusal = isOld ? 'too old: the station may have given up waiting' : undefined;
    // What the leader before had in hand it may have answered: that answer stands, however old it is.
    if (refusal !== undefined && !dup) return refusals.refuse(name, entry, message, decoded.replyTo, refusal);
    const question = bootQuestion(entry, message, signs);
    // What was asked before may have been answered: that answer stands.
    const look = name === 'get_boot_reason' && !dup ? intake.hostEvidence(station) : undefined;
    const host = look === undefined ? undefined : await look;
    await answer({
      name,
      station,
      payload: decoded.payload,
      replyTopic: to,
      dup,
      bytes,
      refusal,
      get liveness() {
        return { ...question.liveness(), host };
      },
      isLate: dup || !backlogMarker.isPassed(),
      acknowledge,
      queueKey: name === 'get_boot_reason' ? bootQueue(station) : `${station} ${name}`,
      prepare: () => learnDialect(entry, name, decoded.payload),
      awaitSign: question.awaitSign,
      decided: async ({ begun }) => {
        if (begun) await bootCounter.begunByQuestion(entry, question.mark);
      },
    });
  };
}
