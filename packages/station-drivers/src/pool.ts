/**
 * Connections to stations, shared by all drivers of a process: opened when first needed, reused, closed when idle. A budget
 * for each station (sessions on its one connection) and for all together (connections open, connections being opened).
 */
import { onAbort, unlessAborted } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';

export interface PooledConnection {
  /** It takes no new sessions: closed, or given up by itself. */
  readonly isSpent: boolean;
  /** Closes once the sessions on it are over. Safe to repeat. */
  retire(): void;
}

export interface PoolOptions<T, C> {
  readonly keyOf: (target: T) => string;
  /** Bounded in time by itself. */
  readonly open: (target: T) => Promise<C>;
  /** Sessions on one connection at once. OpenSSH allows 10 and goes on to count those that were aborted. */
  readonly sessionsEach: number;
  readonly mostOpen: number;
  readonly mostOpening: number;
  readonly idleMs: number;
  /** A station that cannot be reached is not tried again for so long, so that one that refuses us does not lock us out. */
  readonly pauseMs: (error: unknown) => number;
}

export interface Lease<C> {
  readonly connection: C;
  /** Safe to repeat. */
  readonly release: () => void;
}

export interface ConnectionPool<T, C> {
  /** A place for one session. Rejects as `open` does, or with the reason of the signal. */
  acquire(target: T, signal: AbortSignal): Promise<Lease<C>>;
  /** How many connections are open. */
  readonly open: () => number;
  /** Close all of them; what runs on them is lost. */
  close(): void;
}

interface Entry<C> {
  connection: C | undefined;
  opening: Promise<C> | undefined;
  inUse: number;
  idleSince: number;
  idle: NodeJS.Timeout | undefined;
  failure: { readonly error: unknown; readonly until: number } | undefined;
}

/** So many at a time; the others wait in order. */
class Places {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  constructor(most: number) {
    this.#most = most;
  }
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#taken < this.#most) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      // The place passes from its holder to the next one that waits, so no other call can take it in between.
      const go = (): void => {
        withdraw();
        resolve();
      };
      this.#waiting.push(go);
      const withdraw = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal?.reason);
      });
    });
  }
  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }
  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken -= 1;
  }
}

interface Shared<C> extends Entry<C> {
  readonly sessions: Places;
}

class SharedPool<T, C extends PooledConnection> implements ConnectionPool<T, C> {
  readonly #options: PoolOptions<T, C>;
  readonly #entries = new Map<string, Shared<C>>();
  readonly #room: Places;
  readonly #opening: Places;
  #open = 0;

  constructor(options: PoolOptions<T, C>) {
    this.#options = options;
    this.#room = new Places(options.mostOpen);
    this.#opening = new Places(options.mostOpening);
  }

  readonly open = (): number => this.#open;

  async acquire(target: T, signal: AbortSignal): Promise<Lease<C>> {
    const entry = this.#entryOf(target);
    await entry.sessions.take(signal);
    entry.inUse += 1;
    clearTimeout(entry.idle);
    try {
      const connection = await unlessAborted(this.#connectionOf(entry, target), signal);
      let isReleased = false;
      const release = (): void => {
        if (isReleased) return;
        isReleased = true;
        this.#release(entry);
      };
      return { connection, release };
    } catch (error) {
      this.#release(entry);
      throw error;
    }
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#drop(entry);
    this.#entries.clear();
  }

  #entryOf(target: T): Shared<C> {
    const key = this.#options.keyOf(target);
    const known = this.#entries.get(key);
    if (known) return known;
    const entry: Shared<C> = {
      connection: undefined,
      opening: undefined,
      inUse: 0,
      idleSince: 0,
      idle: undefined,
      failure: undefined,
      sessions: new Places(this.#options.sessionsEach),
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #drop(entry: Shared<C>): void {
    clearTimeout(entry.idle);
    if (!entry.connection) return;
    entry.connection.retire();
    entry.connection = undefined;
    this.#open -= 1;
    this.#room.give();
  }

  /** Make room by closing the connection that has been idle for longest. */
  #evict(): void {
    if (this.#open < this.#options.mostOpen) return;
    const idle = [...this.#entries.values()].filter((entry) => entry.connection && entry.inUse === 0);
    const oldest = idle.sort((a, b) => a.idleSince - b.idleSince)[0];
    if (oldest) this.#drop(oldest);
  }

  async #openFor(entry: Shared<C>, target: T): Promise<C> {
    this.#evict();
    await this.#room.take();
    try {
      await this.#opening.take();
      try {
        const connection = await this.#options.open(target);
        entry.connection = connection;
        entry.failure = undefined;
        this.#open += 1;
        return connection;
      } finally {
        this.#opening.give();
      }
    } catch (error) {
      this.#room.give();
      entry.failure = { error, until: performance.now() + this.#options.pauseMs(error) };
      throw error;
    }
  }

  #connectionOf(entry: Shared<C>, target: T): Promise<C> {
    if (entry.connection?.isSpent) this.#drop(entry);
    if (entry.connection) return Promise.resolve(entry.connection);
    if (entry.failure && performance.now() < entry.failure.until) return Promise.reject(entry.failure.error);
    entry.opening ??= this.#openFor(entry, target).finally(() => {
      entry.opening = undefined;
    });
    return entry.opening;
  }

  #release(entry: Shared<C>): void {
    entry.inUse -= 1;
    entry.sessions.give();
    if (entry.inUse > 0) return;
    // Another station waits for the room of this one.
    if (this.#room.isWanted) {
      this.#drop(entry);
      return;
    }
    entry.idleSince = performance.now();
    clearTimeout(entry.idle);
    entry.idle = setTimeout(() => entry.inUse === 0 && this.#drop(entry), this.#options.idleMs).unref();
  }
}

export const createPool = <T, C extends PooledConnection>(options: PoolOptions<T, C>): ConnectionPool<T, C> =>
  new SharedPool(options);

/** How far the way to a station went. */
export type ReachStage = 'our_key' | 'pinned_key' | 'network' | 'host_key' | 'algorithms' | 'login' | 'gate';

class Unreachable extends CodedError {
  /** Absent: what went wrong is none of these. */
  readonly stage?: ReachStage;
  constructor(message: string, cause: unknown, stage: ReachStage | undefined) {
    super('STATION_UNREACHABLE', message, { cause });
    if (stage !== undefined) this.stage = stage;
  }
}

export const unreachable = (message: string, cause?: unknown, stage?: ReachStage): CodedError =>
  new Unreachable(message, cause, stage);

export const stageOf = (error: unknown): ReachStage | undefined =>
  error instanceof Unreachable ? error.stage : undefined;
