/**
 * Certificates are judged in threads: whatever a text costs, the thread that answers stations does not pay for it. A
 * verdict that is late is given up, and the thread that took too long is replaced. Senders take turns. A text that many
 * send at once is judged once.
 */
import { createHash } from 'node:crypto';
import { FairQueue } from '@khumbu/shared/runtime/fair-queue';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { ChainPolicy } from './chain.js';
import { type Judgement, type JudgeQuestion, type JudgeTask, JudgeThreads } from './judge-threads.js';
import type { TrustMaterial } from './roots.js';

export type { Judgement } from './judge-threads.js';

export interface JudgeLimits {
  readonly threads: number;
  /** From the question to the verdict, waiting included. */
  readonly answerMs: number;
  /** For one text, once its thread has begun. */
  readonly runMs: number;
  readonly waitingInAll: number;
  readonly waitingOfOne: number;
}

export interface JudgesOptions {
  readonly material: () => TrustMaterial;
  readonly policy: Required<ChainPolicy>;
  readonly log: Pick<Logger, 'error' | 'debug'>;
  readonly limits?: Partial<JudgeLimits>;
  /** Default: the thread of this package. */
  readonly script?: URL;
}

/** A station gets the default answer after 700 ms; the decision has to be stored, too. */
const LIMITS: JudgeLimits = { threads: 2, answerMs: 550, runMs: 400, waitingInAll: 256, waitingOfOne: 8 };
/** A verdict is kept for so long: dates are judged by the second, not by the millisecond. */
const KEPT_MS = 5000;
const MOST_KEPT = 256;

/** The time is part of it: a clock that jumps makes another question of the same text. */
function keyOf({ rule, text, now }: JudgeQuestion): string {
  const when = Math.floor(now.getTime() / KEPT_MS);
  return createHash('sha256').update(`${rule} ${when}\n${text}`).digest('hex');
}

class CertificateJudges {
  readonly #limits: JudgeLimits;
  readonly #material: () => TrustMaterial;
  readonly #threads: JudgeThreads;
  readonly #waiting = new FairQueue<JudgeTask>();
  readonly #open = new Map<string, JudgeTask>();
  readonly #kept = new Map<string, { readonly judgement: Judgement; readonly until: number }>();
  readonly #ready: Promise<void>;
  #setReady: () => void = () => undefined;
  #current: TrustMaterial;
  #closed = false;

  constructor({ material, policy, log, limits, script }: JudgesOptions) {
    this.#limits = { ...LIMITS, ...limits };
    this.#material = material;
    this.#current = material();
    this.#ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
    const { threads, runMs } = this.#limits;
    this.#threads = new JudgeThreads({
      threads,
      runMs,
      script: script ?? new URL('./judge-thread.js', import.meta.url),
      policy,
      log,
      material: () => this.#current,
      next: (may) => this.#waiting.next(may),
      onReady: () => this.#setReady(),
      onJudged: (task, judgement) => this.#finish(task, judgement),
      onOutdated: (task) => void this.#enqueue(task),
      onFree: () => this.#schedule(),
    });
  }

  /** Start the threads, which the first question would. Resolves when one can judge, or when the judges are closed. */
  warmUp(): Promise<void> {
    this.#threads.start();
    return this.#ready;
  }

  /** Never rejects, and resolves within `answerMs`. */
  judge(question: JudgeQuestion): Promise<Judgement> {
    if (this.#closed) return Promise.resolve({ undecided: 'stopping' });
    void this.warmUp();
    this.#schedule();
    const key = keyOf(question);
    const kept = this.#kept.get(key);
    if (kept && kept.until > performance.now()) return Promise.resolve(kept.judgement);
    let task = this.#open.get(key);
    if (!task) {
      task = { key, question, waiters: new Set() };
      if (!this.#enqueue(task)) return Promise.resolve({ undecided: 'too many certificates wait' });
      this.#open.set(key, task);
    }
    return this.#verdictOf(task);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#setReady();
    for (const task of this.#open.values())
      for (const resolve of Array.from(task.waiters)) resolve({ undecided: 'stopping' });
    await this.#threads.close();
  }

  #verdictOf(task: JudgeTask): Promise<Judgement> {
    const { answerMs } = this.#limits;
    return new Promise((resolve) => {
      const settle = (judgement: Judgement): void => {
        clearTimeout(timer);
        this.#leave(task, settle);
        resolve(judgement);
      };
      const timer = setTimeout(() => settle({ undecided: `no verdict within ${answerMs} ms` }), answerMs);
      task.waiters.add(settle);
      this.#schedule();
    });
  }

  /** `false`: too many wait already. */
  #enqueue(task: JudgeTask): boolean {
    const { sender } = task.question;
    const { waitingInAll, waitingOfOne } = this.#limits;
    if (this.#waiting.size >= waitingInAll || this.#waiting.sizeOf(sender) >= waitingOfOne) return false;
    this.#waiting.add(sender, task);
    return true;
  }

  /** Verdicts of other material than the present one are not kept. */
  #schedule(): void {
    const now = this.#material();
    if (now.roots !== this.#current.roots || now.crls !== this.#current.crls) {
      this.#current = now;
      this.#kept.clear();
    }
    this.#threads.schedule();
  }

  #finish(task: JudgeTask, judgement: Judgement): void {
    this.#open.delete(task.key);
    this.#kept.set(task.key, { judgement, until: performance.now() + KEPT_MS });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    for (const resolve of task.waiters) resolve(judgement);
  }

  /** A task without waiters need not be judged, unless that has begun. */
  #leave(task: JudgeTask, waiter: (judgement: Judgement) => void): void {
    task.waiters.delete(waiter);
    if (task.waiters.size > 0 || this.#threads.isJudging(task)) return;
    this.#waiting.removeWhere((one) => one === task);
    this.#open.delete(task.key);
  }
}

export type Judges = Pick<CertificateJudges, 'judge' | 'warmUp' | 'close'>;

export const createJudges = (options: JudgesOptions): Judges => new CertificateJudges(options);
