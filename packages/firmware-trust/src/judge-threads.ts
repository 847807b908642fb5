/**
 * The threads that judge certificates. Each has one task at a time, and a sender has one thread at a time. A thread that
 * takes too long or dies is replaced; its task ends without a verdict.
 */
import { Worker } from 'node:worker_threads';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { ChainPolicy, ChainVerdict } from './chain.js';
import type { CertificateRule, FromJudge, ToJudge } from './judge-thread.js';
import type { TrustMaterial } from './roots.js';

const HEAP_MB = 512;
const RESTART_MS = 200;

/** `undecided` says why there is no verdict. */
export type Judgement = { readonly verdict: ChainVerdict } | { readonly undecided: string };

export interface JudgeQuestion {
  readonly text: string;
  readonly rule: CertificateRule;
  /** A station, or a caller of REST: senders are served in turn. */
  readonly sender: string;
  readonly now: Date;
}

export interface JudgeTask {
  readonly key: string;
  readonly question: JudgeQuestion;
  readonly waiters: Set<(judgement: Judgement) => void>;
}

export interface JudgeThreadsOptions {
  readonly threads: number;
  /** Longest time for one task, in milliseconds. */
  readonly runMs: number;
  readonly script: URL;
  readonly policy: Required<ChainPolicy>;
  readonly log: Pick<Logger, 'error' | 'debug'>;
  /** What to judge by, now. */
  readonly material: () => TrustMaterial;
  /** Takes the next task of a sender that may be served. */
  readonly next: (may: (sender: string) => boolean) => JudgeTask | undefined;
  readonly onReady: () => void;
  readonly onJudged: (task: JudgeTask, judgement: Judgement) => void;
  /** The material changed while the task was judged: its verdict is void. */
  readonly onOutdated: (task: JudgeTask) => void;
  /** A thread may take another task: time to call `schedule`. */
  readonly onFree: () => void;
}

interface Slot {
  /** `loading`: it reads the material. */
  state: 'loading' | 'idle' | 'busy';
  worker?: Worker | undefined;
  task?: JudgeTask | undefined;
  timer?: NodeJS.Timeout;
  material?: TrustMaterial;
}

export class JudgeThreads {
  readonly #options: JudgeThreadsOptions;
  readonly #slots: readonly Slot[];
  readonly #running = new Set<string>();
  #started = false;
  #closed = false;

  constructor(options: JudgeThreadsOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.threads }, () => ({ state: 'loading' }));
  }

  /** Safe to repeat. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const slot of this.#slots) this.#startThread(slot);
  }

  /** Give tasks to idle threads; one with outdated material loads the new one first. */
  schedule(): void {
    const { material, next } = this.#options;
    for (const slot of this.#slots) {
      if (this.#closed || slot.state !== 'idle') continue;
      if (slot.material !== material()) this.#load(slot);
      else {
        const task = next((sender) => !this.#running.has(sender));
        if (task) this.#begin(slot, task);
      }
    }
  }

  isJudging(task: JudgeTask): boolean {
    return this.#slots.some((slot) => slot.task === task);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      this.#slots.map(async (slot) => {
        this.#free(slot);
        await slot.worker?.terminate();
      }),
    );
  }

  #post(slot: Slot, message: ToJudge): void {
    slot.worker?.postMessage(message);
  }

  #startThread(slot: Slot): void {
    if (this.#closed) return;
    const resourceLimits = { maxOldGenerationSizeMb: HEAP_MB };
    const worker = new Worker(this.#options.script, { execArgv: [], env: {}, resourceLimits });
    worker.unref();
    slot.worker = worker;
    worker.on('message', (message: FromJudge) => {
      if (slot.worker === worker) this.#onMessage(slot, message);
    });
    worker.on('error', (error) => this.#lose(slot, worker, describeError(error)));
    worker.on('exit', () => this.#lose(slot, worker, 'it has ended'));
    this.#load(slot);
  }

  #load(slot: Slot): void {
    const material = this.#options.material();
    slot.state = 'loading';
    slot.material = material;
    this.#post(slot, {
      kind: 'material',
      roots: material.roots.map(({ x509 }) => x509.raw),
      crls: material.crls.map(({ der }) => der),
      policy: this.#options.policy,
    });
  }

  #begin(slot: Slot, task: JudgeTask): void {
    const { text, rule, now, sender } = task.question;
    const { worker } = slot;
    const { runMs } = this.#options;
    if (!worker) return;
    slot.state = 'busy';
    slot.task = task;
    this.#running.add(sender);
    slot.timer = setTimeout(() => this.#lose(slot, worker, `it took longer than ${runMs} ms`), runMs);
    this.#post(slot, { kind: 'judge', text, rule, now: now.getTime() });
  }

  #free(slot: Slot): JudgeTask | undefined {
    clearTimeout(slot.timer);
    const { task } = slot;
    slot.task = undefined;
    if (task) this.#running.delete(task.question.sender);
    return task;
  }

  #onMessage(slot: Slot, message: FromJudge): void {
    const { material, onReady, onJudged, onOutdated, onFree } = this.#options;
    const task = this.#free(slot);
    slot.state = 'idle';
    if (message.kind === 'ready') onReady();
    else if (task && slot.material === material()) onJudged(task, { verdict: message.verdict });
    else if (task) onOutdated(task);
    onFree();
  }

  #lose(slot: Slot, worker: Worker, why: string): void {
    if (slot.worker !== worker) return;
    const { log, onJudged, onFree } = this.#options;
    slot.worker = undefined;
    const task = this.#free(slot);
    slot.state = 'loading';
    worker.removeAllListeners();
    worker.on('error', (error) => log.debug({ reason: describeError(error) }, 'a thread that was ended'));
    void worker.terminate();
    if (this.#closed) return;
    const { rule, sender } = task?.question ?? {};
    log.error({ why, rule, sender }, 'a thread that judges certificates was lost');
    if (task) onJudged(task, { undecided: why });
    setTimeout(() => this.#startThread(slot), task ? 0 : RESTART_MS).unref();
    onFree();
  }
}
