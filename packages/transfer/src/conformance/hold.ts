/** A caller of `open` as the suite and the experiments have it: it keeps what it holds in memory, and goes on with it. */
import { type Opened, type OpenOptions, TAIL_BYTES, type TransferContext, type Validators } from '../port.js';
import { createDownload } from '../transfer.js';
import { TransferError } from '../transfer-error.js';

interface Held extends Pick<OpenOptions, 'total' | 'labels'> {
  readonly validators: Validators;
}

/** What tries to fetch one location leave behind. Not for concurrent use. */
export class Hold {
  readonly #location: string;
  readonly #context: TransferContext;
  #pieces: Buffer[] = [];
  #held: Held | undefined;

  constructor(location: string, context: TransferContext) {
    this.#location = location;
    this.#context = context;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get validators(): Validators {
    return this.#held?.validators ?? {};
  }

  /** One try, to the end of the content. Rejects as `open` and `readBody` do; what came is held. */
  async attempt(options: { signal: AbortSignal; known?: Validators; onPiece?: () => void }): Promise<Opened['kind']> {
    const open = createDownload(this.#location, this.#context);
    for (;;) {
      const before = this.bytes.length;
      const { signal, known } = options;
      const tail = before > 0 ? this.bytes.subarray(-TAIL_BYTES) : undefined;
      const opened = await open({ ...this.#held, offset: before, known, signal, tail });
      if (opened.kind === 'unchanged') return opened.kind;
      try {
        if (opened.kind === 'whole') this.#startAnew(opened);
        else if (opened.offset !== before) throw new Error(`a part from ${opened.offset} on; ${before} bytes are held`);
        else this.#held = { ...(this.#held as Held), total: opened.total };
        await opened.readBody((piece) => {
          this.#pieces.push(Buffer.from(piece));
          options.onPiece?.();
        });
      } finally {
        opened.drop();
      }
      const size = this.bytes.length;
      const total = this.#held?.total;
      if (total === undefined || size === total) return opened.kind;
      const cut = new TransferError({ direction: 'get', scheme: 'https' }, 'cut', `${size} of ${total} bytes`);
      if (size > total || opened.kind === 'whole' || size === before) throw cut;
    }
  }

  #startAnew({ total, validators, labels }: Extract<Opened, { kind: 'whole' }>): void {
    this.#pieces = [];
    this.#held = { total, validators, ...(labels === undefined ? {} : { labels }) };
  }
}

/** Try until it is there, at most so often; resolves with how many tries failed. Rejects with what is final. */
export async function holdAll(hold: Hold, tries: number, signal: AbortSignal): Promise<number> {
  for (let failed = 0; ; failed++) {
    try {
      await hold.attempt({ signal });
      return failed;
    } catch (error) {
      const isOver = failed + 1 >= tries || !(error instanceof TransferError && error.retryable);
      if (isOver) throw error;
    }
  }
}
