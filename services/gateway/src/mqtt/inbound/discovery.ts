/**
 * Asks modules for their identity: at connect, at each ready beacon, and when an unknown module is heard. Each module answers
 * for itself; two answers from one module id to one question mean two stations with one identity.
 */
import { randomUUID } from 'node:crypto';
import { mismatch } from '@khumbu/shared/contract/codec';
import { ApiDiscoverResponse } from '@khumbu/shared/contract/schemas';
import { DISCOVERY, isTopicLevel, OCPP_CONSUMER } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Core } from '../core.js';

/** Answers come within about a second; a question is forgotten after this. */
const QUESTION_MS = 10_000;
/** Who has answered a question alone by now is alone. */
const ALONE_MS = 900;
/** A prefix is asked no sooner again, however often ready beacons come; one that came in between is followed by a question then. */
const ASK_AGAIN_MS = 1000;

/** A module has a few. */
const MAX_APIS = 64;

export interface Discovered {
  readonly station: string;
  readonly type: string;
  readonly moduleId: string;
  readonly communication?: ApiDiscoverResponse['apis'][number]['communication_monitoring'];
  /** This module has answered the same question before. */
  readonly isSecond: boolean;
}

type Deps = Pick<Core, 'prefix' | 'publish' | 'log'> & {
  readonly modules: {
    discovered(found: Discovered): void;
    /** One `system_API` alone has answered a question that was asked then, monotonic. */
    alone(station: string, askedAt: number): void;
  };
  /** A message that nothing is done with, and why. */
  readonly bad: (topic: string, reason: string) => void;
};

interface Question {
  /** Modules that have answered, with their station and how often. */
  readonly answered: Map<string, { readonly station: string; readonly type: string; times: number }>;
  readonly timers: readonly NodeJS.Timeout[];
}

export type Discovery = ReturnType<typeof createDiscovery>;

export function createDiscovery({ prefix, publish, modules, bad, log }: Deps) {
  const questions = new Map<string, Question>();
  const pauses = new Map<string, { again: boolean }>();

  const ask = (station: string, type: string): void => {
    const id = randomUUID();
    const askedAt = performance.now();
    const answered: Question['answered'] = new Map();
    const tellAlone = (): void => {
      for (const { station: name, type: api, times } of answered.values())
        if (api === 'system' && times === 1) modules.alone(name, askedAt);
    };
    const timers = [setTimeout(() => questions.delete(id), QUESTION_MS), setTimeout(tellAlone, ALONE_MS)];
    for (const timer of timers) timer.unref();
    questions.set(id, { answered, timers });
    const question = JSON.stringify({ headers: { replyTo: DISCOVERY.answerTopic(id) } });
    publish(`${prefix.of(station)}${DISCOVERY.queryTopic(type)}`, question, 1).catch((error: unknown) => {
      if (!hasCode(error, 'MQTT_CLOSED')) log.debug({ reason: describeError(error) }, 'discovery question not sent');
    });
  };

  const askAll = (station: string): void => {
    ask(station, 'system');
    ask(station, OCPP_CONSUMER.type);
  };

  return {
    /** Ask the modules behind one prefix. Without a prefix per station that is everybody, whatever `station` is. */
    ask(station: string): void {
      const scope = prefix.perStation ? station : '';
      if (pauses.has(scope)) {
        pauses.set(scope, { again: true });
        return;
      }
      pauses.set(scope, { again: false });
      askAll(station);
      const timer = setInterval(() => {
        if (pauses.get(scope)?.again) {
          pauses.set(scope, { again: false });
          askAll(station);
          return;
        }
        pauses.delete(scope);
        clearInterval(timer);
      }, ASK_AGAIN_MS);
      timer.unref();
    },

    /** An answer on one of our answer topics; anything else there is ignored and logged. */
    hear(topic: string, payload: Uint8Array): void {
      const stripped = prefix.strip(topic);
      const id = stripped?.rest.split('/').at(-1) ?? '';
      const question = questions.get(id);
      if (!question) return;
      let answer: unknown;
      try {
        answer = JSON.parse(Buffer.from(payload).toString('utf8'));
      } catch {
        answer = undefined;
      }
      const reason = mismatch(ApiDiscoverResponse, answer);
      if (reason) {
        bad(topic, reason);
        return;
      }
      for (const api of (answer as ApiDiscoverResponse).apis.slice(0, MAX_APIS)) {
        if (api.type !== 'system' && api.type !== OCPP_CONSUMER.type) continue;
        if (!isTopicLevel(api.module_id)) {
          // It would become part of topics that are published on.
          bad(topic, 'a module id that is no topic level');
          continue;
        }
        const station = stripped?.station ?? api.module_id;
        const who = `${stripped?.station ?? ''} ${api.type} ${api.module_id}`;
        const before = question.answered.get(who)?.times ?? 0;
        question.answered.set(who, { station, type: api.type, times: before + 1 });
        const isSecond = before > 0;
        modules.discovered({
          station,
          type: api.type,
          moduleId: api.module_id,
          isSecond,
          ...(api.communication_monitoring ? { communication: api.communication_monitoring } : {}),
        });
      }
    },

    stop(): void {
      for (const { timers } of questions.values()) for (const timer of timers) clearTimeout(timer);
      questions.clear();
    },
  };
}
