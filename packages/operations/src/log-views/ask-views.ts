/** The side of a gateway: asks for live views of logs and reads what comes. */
import { randomUUID } from 'node:crypto';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import {
  ALIVE_MS,
  type LogViewRequest,
  readerMessage,
  readViewMessage,
  SILENCE_MS,
  type ViewFailure,
  type ViewMessage,
  WINDOW_BYTES,
} from './messages.js';

/** Workers that have a place take what is asked for at once. */
const PATIENCE_MS = 5000;

export interface LogViews {
  /**
   * Resolves with its bytes once the station has begun to give them; they end when nothing more comes, or when the iteration is left. Rejects with the code of
   * the driver (`LOGS_UNAVAILABLE`, `STATION_UNREACHABLE`, ...), with `NO_PLACE` when no worker takes it, with `VIEW_LOST` when the worker is gone, with
   * the reason of the signal. So does the iteration. Safe to repeat.
   */
  open(request: Omit<LogViewRequest, 'id'>, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
  close(): void;
}

export interface LogViewsOptions {
  /** For what is asked and said. */
  readonly redis: Redis;
  /** A connection of its own. */
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly patienceMs?: number;
}

const lost = (): CodedError => new CodedError('VIEW_LOST', 'the worker that read the logs is gone; ask again');

/** One view as its reader has it: what has come and was not taken yet. */
class IncomingView {
  private readonly waiting: Buffer[] = [];
  private end: { readonly error?: Error } | undefined;
  private wake: () => void = () => undefined;
  private next = 0;
  private heardAt = performance.now();
  private takenBytes = 0;
  private toldBytes = 0;
  isTakenUp = false;
  isOpen = false;
  private readonly tell: (taken: number) => void;

  constructor(tell: (taken: number) => void) {
    this.tell = tell;
  }

  hear({ word, number, bytes }: ViewMessage): void {
    this.heardAt = performance.now();
    this.isTakenUp = true;
    if (number !== this.next) {
      this.stop(lost());
      return;
    }
    this.next += 1;
    if (word === 'bytes') this.waiting.push(bytes);
    else if (word === 'opened') this.isOpen = true;
    else if (word === 'ended') this.end ??= {};
    else if (word === 'failed') {
      const { code, message } = JSON.parse(bytes.toString()) as ViewFailure;
      this.stop(new CodedError(code, message));
    }
    this.wake();
  }

  stop(error: Error): void {
    this.end ??= { error };
    this.wake();
  }

  /** Once a second. */
  beat(): void {
    this.tellTaken();
    if (this.isTakenUp && performance.now() - this.heardAt > SILENCE_MS) this.stop(lost());
  }

  async opened(): Promise<void> {
    while (!this.isOpen) {
      if (this.end) throw this.end.error ?? lost();
      await this.change();
    }
  }

  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const piece = this.waiting.shift();
      if (piece) {
        yield piece;
        // It has gone on.
        this.takenBytes += piece.length;
        if (this.takenBytes - this.toldBytes >= WINDOW_BYTES / 4) this.tellTaken();
        continue;
      }
      if (this.end?.error) throw this.end.error;
      if (this.end) return;
      await this.change();
    }
  }

  private tellTaken(): void {
    this.toldBytes = this.takenBytes;
    this.tell(this.takenBytes);
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

export function createLogViews({ redis, subscriber, keys, patienceMs = PATIENCE_MS }: LogViewsOptions): LogViews {
  const views = new Map<string, IncomingView>();
  subscriber.on('messageBuffer', (channel: Buffer, bytes: Buffer) => {
    const message = readViewMessage(bytes);
    if (message) views.get(channel.toString())?.hear(message);
  });
  // What was said meanwhile is lost.
  subscriber.on('close', () => {
    for (const view of views.values()) view.stop(lost());
  });

  return {
    async open(asked, signal) {
      signal.throwIfAborted();
      const request: LogViewRequest = { ...asked, id: randomUUID() };
      const [channel, answers] = [keys.logView(request.id), keys.logViewReader(request.id)];
      // Whether it is heard shows in what comes.
      const say = (message: Parameters<typeof readerMessage>[0]): void =>
        void redis.publish(answers, readerMessage(message)).catch(() => undefined);
      const view = new IncomingView((taken) => say({ taken }));
      views.set(channel, view);
      const alive = setInterval(() => view.beat(), ALIVE_MS);
      const text = JSON.stringify(request);
      const patience = setTimeout(() => {
        if (!view.isTakenUp)
          view.stop(new CodedError('NO_PLACE', 'no log-worker has a place for another live view now; ask again'));
      }, patienceMs);
      const withdraw = onAbort(signal, () => view.stop(signal.reason as Error));
      const leave = (): void => {
        clearInterval(alive);
        clearTimeout(patience);
        withdraw();
        views.delete(channel);
        say('gone');
        const undo = view.isTakenUp ? undefined : redis.lrem(keys.logViews, 1, text);
        void Promise.allSettled([subscriber.unsubscribe(channel), undo]);
      };
      try {
        await subscriber.subscribe(channel);
        await redis.rpush(keys.logViews, text);
        await view.opened();
      } catch (error) {
        leave();
        throw error;
      }
      const bytes = async function* (): AsyncGenerator<Buffer, void, undefined> {
        try {
          yield* view.bytes();
        } finally {
          leave();
        }
      };
      return bytes();
    },
    close() {
      subscriber.disconnect();
    },
  };
}
