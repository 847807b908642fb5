import { useEffect, useState } from 'preact/hooks';
import { type Answer, createAnswers, type Read } from './answers.js';

const NOTHING = { value: undefined, failure: undefined };

/**
 * What was read last for this question, and nothing of an earlier one; read anew whenever one of `changes` does. The same
 * question is the same value or object.
 */
export function useAnswer<Q, T>(
  question: Q,
  read: Read<T>,
  changes: readonly unknown[] = [],
): Pick<Answer<Q, T>, 'value' | 'failure'> {
  const [answer, setAnswer] = useState<Answer<Q, T>>();
  const [answers] = useState(() => createAnswers<Q, T>(setAnswer));
  useEffect(() => answers.end, []);
  useEffect(() => answers.ask(question, read), [question, ...changes]);
  return answer?.question === question ? answer : NOTHING;
}
