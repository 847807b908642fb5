import { setTimeout as pause } from 'node:timers/promises';
import type { Answer } from '@khumbu/intake/decision';
import type { Intake } from '@khumbu/intake/intake';
import { UPDATE } from '@khumbu/intake/test/fixtures';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { awaitUntil, within } from '@khumbu/test-support/events';
import t from 'tap';
import type { Standing } from '../src/leader/standing.js';
import { createGatewayMetrics } from '../src/metrics.js';
import { createAnswering, type Request } from '../src/mqtt/inbound/answering.js';
import { createDecidedAnswers } from '../src/mqtt/outbound/decided-answers.js';
import { createReplies } from '../src/mqtt/outbound/reply.js';
import { type CachedReply, createReplyCache } from '../src/mqtt/outbound/reply-cache.js';
import { createKeyedQueue } from '../src/mqtt/session/keyed-queue.js';
import { createRetryUntilClosed } from '../src/mqtt/session/retry-until-closed.js';
import { createRateLimitedLog } from '../src/rate-limited-log.js';

const log = createLogger('test', 'silent');
const DEADLINE_MS = 700;
/** A little less than what an answer waits for, however long the process stands still. */
const LATEST_MS = 2400;

/** One answering gateway, with an intake that is told what to say; everything it does is written down in order. */
function place({ updateFirmware, ...answers }: Partial<Intake>, publishes: () => Promise<boolean> = async () => true) {
  const done: string[] = [];
  const over = new AbortController();
  const kept: CachedReply[] = [];
  let leads = true;
  const intake = {
    storedAnswer: async () => undefined,
    confirm: async () => undefined,
    revoke: async () => void done.push('revoked'),
    noteAnswerSent: async (operationId: string) => void done.push(`sent ${operationId}`),
    serve: { update_firmware: updateFirmware },
    ...answers,
  } as unknown as Intake;
  const replyCache = createReplyCache(async (answers) => void kept.push(...answers), over.signal, log);
  const standing = (): Standing => (leads ? 'leading' : 'refusing');
  const limitedLog = createRateLimitedLog(log);
  const retryUntilClosed = createRetryUntilClosed(over.signal, log);
  const createReply = createReplies({
    publish: (topic, payload, _qos, speech) => {
      done.push(`${speech} ${topic.slice(topic.lastIndexOf('/') + 1)} ${payload}`);
      return publishes();
    },
    standing,
    replyCache,
    limitedLog,
    metrics: createGatewayMetrics(),
  });
  const publishDecided = createDecidedAnswers({ intake, retryUntilClosed, limitedLog, log });
  const queue = createKeyedQueue();
  const answer = createAnswering({ intake, createReply, publishDecided, standing, queue, retryUntilClosed, log });
  t.teardown(() => over.abort());
  const request = (uuid: string, more: Partial<Request> = {}): Request => ({
    name: 'update_firmware',
    station: 'cs-1',
    payload: UPDATE,
    replyTopic: `everest_api/1/system/cs-1/m2e/reply/${uuid}`,
    dup: false,
    bytes: Buffer.from(uuid),
    liveness: { silentMs: undefined, heartbeatPeriodMs: undefined },
    isLate: false,
    acknowledge: () => void done.push(`acknowledged ${uuid}`),
    queueKey: 'cs-1 update_firmware',
    prepare: async () => undefined,
    awaitSign: async () => undefined,
    decided: async () => undefined,
    ...more,
  });
  return {
    done,
    kept,
    answer,
    request,
    lead: (now: boolean): void => {
      leads = now;
    },
  };
}
const accepted: Answer = { reply: 'Accepted', operationId: 'one' };
const offered: Answer = { ...accepted, followUp: { kind: 'confirm', operationId: 'one' } };

void t.test('a decision is told, and the same frame gets it again, also without a leader', async (t) => {
  const p = place({ updateFirmware: async () => accepted });
  await p.answer(p.request('a'));
  p.lead(false);
  await p.answer(p.request('a'));
  t.same(p.done, ['publish a "Accepted"', 'refuse a "Accepted"']);
  t.same(p.kept, []);
});

void t.test('without the lease: acknowledged, then refused, and kept for the next leader', async (t) => {
  const p = place({ updateFirmware: async () => accepted });
  p.lead(false);
  await p.answer(p.request('a'));
  t.same(p.done, ['acknowledged a', 'refuse a "Rejected"']);
  p.lead(true);
  await p.answer(p.request('a'));
  t.equal(p.done.at(-1), 'refuse a "Rejected"', 'for ever');
  await awaitUntil(() => p.kept.length === 1, 1000, 'it to be stored');
  t.match(p.kept, [{ station: 'cs-1', answerKey: 'update_firmware:a', reply: 'Rejected' }]);
});

void t.test('time runs from the arrival, also while an earlier request holds the line', async (t) => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const decided: string[] = [];
  const p = place({
    updateFirmware: async (_request, { answerKey }) => {
      decided.push(answerKey);
      return offered;
    },
    confirm: () => held,
  });
  const first = p.answer(p.request('a'));
  const from = performance.now();
  const second = p.answer(p.request('b'));
  await awaitUntil(() => p.done.includes('refuse b "Rejected"'), 2000, 'the default');
  t.ok(performance.now() - from < DEADLINE_MS + 5000);
  release();
  await Promise.all([first, second]);
  t.same(decided, ['update_firmware:a'], 'and nothing is decided for it any more');
});

void t.test('the time in which the process stands still is nobody’s', async (t) => {
  const standStill = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  const stoodStill = async (): Promise<{ done: string[]; ms: number }> => {
    const p = place({
      updateFirmware: async () => {
        await pause(20);
        await pause(20);
        return accepted;
      },
    });
    const began = performance.now();
    const answering = p.answer(p.request('a'));
    await pause(1);
    standStill(1.5 * DEADLINE_MS);
    await answering;
    return { done: p.done, ms: performance.now() - began };
  };
  // Where the machine stood still on top of that, longer than is waited for at all, it is done anew.
  let went = await stoodStill();
  for (let tries = 1; tries < 5 && went.ms >= LATEST_MS; tries += 1) went = await stoodStill();
  t.same(went.done, ['publish a "Accepted"']);

  const q = place({ updateFirmware: async () => new Promise(() => undefined) });
  const began = performance.now();
  void q.answer(q.request('b'));
  await pause(1);
  standStill(4 * DEADLINE_MS);
  await awaitUntil(() => q.done.length === 2, 60_000, 'the default');
  t.same(q.done, ['acknowledged b', 'refuse b "Rejected"'], 'for long it does not wait');
  t.ok(performance.now() - began >= 4 * DEADLINE_MS);
});

void t.test('one that is refused while it waits for its turn is over', async (t) => {
  const p = place({ updateFirmware: async () => offered, confirm: () => new Promise(() => undefined) });
  void p.answer(p.request('a'));
  await within(p.answer(p.request('b')), DEADLINE_MS + 500, 'the end of the second');
  t.same(p.done, ['publish a "Accepted"', 'acknowledged b', 'refuse b "Rejected"']);
});

void t.test('a decision that comes too late is revoked, once the default is out', async (t) => {
  let decide = (_answer: Answer): void => undefined;
  const deciding = new Promise<Answer>((resolve) => {
    decide = resolve;
  });
  const p = place({ updateFirmware: () => deciding });
  const answering = p.answer(p.request('a'));
  await awaitUntil(() => p.done.length === 2, 2000, 'the default');
  decide(accepted);
  await answering;
  t.same(p.done, ['acknowledged a', 'refuse a "Rejected"', 'revoked']);
});

void t.test('a redelivery is not refused before its stored answer was looked for', async (t) => {
  let out = true;
  let confirmed = 0;
  const p = place({
    updateFirmware: async () => {
      throw new Error('decided anew');
    },
    storedAnswer: async () => {
      if (out) throw new Error('Redis is out');
      return offered;
    },
    confirm: async () => {
      confirmed += 1;
    },
  });
  p.lead(false);
  const answering = p.answer(p.request('a', { dup: true }));
  const until = performance.now() + 2 * DEADLINE_MS;
  await awaitUntil(() => performance.now() > until, 5000, 'longer than the deadline');
  t.same(p.done, []);
  out = false;
  p.lead(true);
  await answering;
  t.same(p.done, ['publish a "Accepted"']);
  t.equal(confirmed, 1);
  const fresh = place({ updateFirmware: async () => accepted });
  await fresh.answer(fresh.request('b', { dup: true }));
  t.same(fresh.done, ['publish b "Accepted"'], 'one that no gateway has answered is decided');
});

void t.test('an offer whose answer went out with the connection is noted', async (t) => {
  const lost = async (): Promise<boolean> => {
    throw new CodedError('MQTT_CLOSED', 'the MQTT session is over');
  };
  const p = place({ updateFirmware: async () => offered }, lost);
  await t.rejects(p.answer(p.request('a')), { code: 'MQTT_CLOSED' });
  t.same(p.done, ['publish a "Accepted"', 'sent one']);
  const unsaved = place(
    {
      updateFirmware: async () => offered,
      noteAnswerSent: async () => {
        throw new Error('Redis is out');
      },
    },
    lost,
  );
  await t.rejects(
    unsaved.answer(unsaved.request('a')),
    { code: 'MQTT_CLOSED' },
    'that it could not be noted is no answer',
  );
  let tries = 0;
  const late = place(
    {
      updateFirmware: async () => offered,
      noteAnswerSent: async () => {
        tries += 1;
        if (tries < 3) throw new Error('Redis is silent for a moment');
      },
    },
    lost,
  );
  await t.rejects(late.answer(late.request('a')), { code: 'MQTT_CLOSED' });
  await awaitUntil(() => tries === 3, 60_000, 'the note to be made all the same');
  const nothing = place({ updateFirmware: async () => ({ reply: 'Rejected' }) }, lost);
  await t.rejects(nothing.answer(nothing.request('a')), { code: 'MQTT_CLOSED' });
  t.same(nothing.done, ['publish a "Rejected"']);
});
