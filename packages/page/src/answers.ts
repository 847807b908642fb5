/**
 * What the gateway answers to one question of the page, read anew when something has changed. One read at a time: a busy depot
 * changes faster than it answers, and if each change ended the read before it no answer would ever be shown.
 */

export interface Answer<Q, T> {
  readonly question: Q;
  /** `undefined`: nothing was read yet. */
  readonly value: T | undefined;
  /** Why the last read failed, `undefined`: it did not. Another object each time. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** Rejects when the signal fires. */
export type Read<T> = (signal: AbortSignal) => Promise<T>;

/** One read may last so long: a connection that went without a word must not stop all later ones. */
const LONGEST_MS = 120_000;

interface Running<Q> {
  readonly question: Q;
  readonly controller: AbortController;
}

/** `onAnswer` is told what each read came to, but of one that was abandoned. */
export function createAnswers<Q, T>(onAnswer: (answer: Answer<Q, T>) => void, longestMs = LONGEST_MS) {
  let last: Answer<Q, T> | undefined;
  let running: Running<Q> | undefined;
  /** Something changed while a read was under way: it may or may not have seen it. */
  let next: Read<T> | undefined;

  const run = async (question: Q, read: Read<T>, { signal }: AbortController): Promise<Answer<Q, T>> => {
    try {
      return { question, value: await read(signal), failure: undefined };
    } catch (error) {
      // What was read before stays: it is the newest that is known.
      return { question, value: last?.question === question ? last.value : undefined, failure: { error } };
    }
  };

  const start = async (question: Q, read: Read<T>): Promise<void> => {
    const mine = { question, controller: new AbortController() };
    running = mine;
    const timer = setTimeout(() => mine.controller.abort(), longestMs);
    const answer = await run(question, read, mine.controller);
    clearTimeout(timer);
    if (running !== mine) return;
    const again = next;
    running = undefined;
    next = undefined;
    last = answer;
    onAnswer(answer);
    if (again) void start(question, again);
  };

  const end = (): void => {
    running?.controller.abort();
    running = undefined;
    next = undefined;
  };

  return {
    /** Read now, or once more after the read of the same question that is under way; one of another question is abandoned. */
    ask(question: Q, read: Read<T>): void {
      if (running?.question === question) {
        next = read;
        return;
      }
      end();
      void start(question, read);
    },
    /** Nothing is told any more. */
    end,
  };
}
