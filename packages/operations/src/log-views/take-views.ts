/** The side of a worker: takes the live views that are asked for and sends what it reads, at the pace of who looks. */
import { onAbort, sleep } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import {
  ALIVE_MS,
  type LogViewRequest,
  readReaderMessage,
  SILENCE_MS,
  type ViewFailure,
  type ViewMessageWord,
  viewMessage,
  WINDOW_BYTES,
} from './messages.js';

/** What one view sends. */
export interface ViewOutput {
  /** Once, before any bytes. */
  opened(): Promise<void>;
  /** Resolves when more may be sent. Rejects with the signal's reason when nobody looks any more. */
  write(bytes: Buffer): Promise<void>;
}

export interface TakeViewsOptions {
  readonly redis: Redis;
  /** Connections of their own: one that blocks, one that listens. */
  readonly blocking: Redis;
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly atOnce: number;
  /** Reads until the signal fires: nobody looks, or the worker stops. What it rejects with before `opened` is told to who asked. */
  readonly serve: (request: LogViewRequest, output: ViewOutput, signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const AFTER_ERROR_MS = 1000;

const gone = (): CodedError => new CodedError('READER_GONE', 'nobody looks any more');

class OutgoingView implements ViewOutput {
  private readonly abort = new AbortController();
  private number = 0;
  private sentBytes = 0;
  private takenBytes = 0;
  private heardAt = performance.now();
  private wake: () => void = () => undefined;
  private last: Promise<void> = Promise.resolve();
  readonly signal: AbortSignal;
  private readonly publish: (message: Buffer) => Promise<number>;

  constructor(publish: (message: Buffer) => Promise<number>, stopping: AbortSignal) {
    this.publish = publish;
    this.signal = AbortSignal.any([this.abort.signal, stopping]);
    onAbort(this.signal, () => this.wake());
  }

  hear(text: string): void {
    const message = readReaderMessage(text);
    if (message === undefined) return;
    this.heardAt = performance.now();
    if (message === 'gone') this.abort.abort(gone());
    else this.takenBytes = Math.max(this.takenBytes, message.taken);
    this.wake();
  }

  /** Once a second. */
  beat(): void {
    if (performance.now() - this.heardAt > SILENCE_MS) this.abort.abort(gone());
    else this.send('alive').catch(() => undefined);
  }

  /** In the order of the calls. Nobody hears it: nobody looks. */
  send(word: ViewMessageWord, bytes?: Buffer | string): Promise<void> {
    const sent = this.last.then(async () => {
      // The last word goes out also when the worker stops.
      if (word !== 'failed') this.signal.throwIfAborted();
      const message = viewMessage(word, this.number, bytes);
      this.number += 1;
      if ((await this.publish(message)) > 0) return;
      this.abort.abort(gone());
      this.signal.throwIfAborted();
    });
    this.last = sent.catch(() => undefined);
    return sent;
  }

  opened(): Promise<void> {
    return this.send('opened');
  }

  async write(bytes: Buffer): Promise<void> {
    this.sentBytes += bytes.length;
    await this.send('bytes', bytes);
    while (this.sentBytes - this.takenBytes > WINDOW_BYTES) {
      this.signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    this.signal.throwIfAborted();
  }
}

export function takeViews(options: TakeViewsOptions): { stop(): Promise<void> } {
  const { redis, blocking, subscriber, keys, atOnce, serve, onError } = options;
  const stopping = new AbortController();
  const views = new Map<string, OutgoingView>();
  const running = new Set<Promise<void>>();
  subscriber.on('message', (channel: string, text: string) => views.get(channel)?.hear(text));

  const run = async (request: LogViewRequest): Promise<void> => {
    const [channel, answers] = [keys.logView(request.id), keys.logViewReader(request.id)];
    const view = new OutgoingView((message) => redis.publish(channel, message), stopping.signal);
    views.set(answers, view);
    const alive = setInterval(() => view.beat(), ALIVE_MS);
    try {
      await subscriber.subscribe(answers);
      // Who asked knows that it was taken up, however long the station takes.
      await view.send('alive');
      await serve(request, view, view.signal);
      await view.send('ended');
    } catch (error) {
      if (!(error instanceof CodedError)) onError(error);
      const code = error instanceof CodedError ? error.code : 'INTERNAL';
      const failure: ViewFailure = { code, message: describeError(error) };
      // Where nobody looks any more, nobody hears it.
      await view.send('failed', JSON.stringify(failure)).catch(() => undefined);
    } finally {
      clearInterval(alive);
      views.delete(answers);
      await subscriber.unsubscribe(answers).catch(() => undefined);
    }
  };

  const take = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      if (running.size >= atOnce) {
        await Promise.race(running);
        continue;
      }
      try {
        const [, text] = (await blocking.blpop(keys.logViews, 0)) ?? [];
        if (text === undefined) continue;
        const one = run(JSON.parse(text) as LogViewRequest).finally(() => running.delete(one));
        running.add(one);
      } catch (error) {
        if (stopping.signal.aborted) return;
        // A failover of Redis, or what is no request: the next one is taken all the same.
        onError(error);
        await sleep(AFTER_ERROR_MS, stopping.signal);
      }
    }
  };
  const taking = take();

  return {
    async stop() {
      stopping.abort(new CodedError('STOPPING', 'the worker stops'));
      blocking.disconnect();
      await Promise.allSettled([taking, ...running]);
      subscriber.disconnect();
    },
  };
}
