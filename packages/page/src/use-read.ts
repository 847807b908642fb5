import { useEffect } from 'preact/hooks';
import type { Read } from './answers.js';
import { usePage } from './context.js';
import { problemText } from './use-act.js';
import { useAnswer } from './use-answer.js';

/** As `useAnswer`; why a read failed is said to the person. */
export function useRead<Q, T>(question: Q, read: Read<T>, changes: readonly unknown[] = []): T | undefined {
  const { say } = usePage();
  const { value, failure } = useAnswer(question, read, changes);
  useEffect(() => {
    if (failure) say(problemText(failure.error), true);
  }, [failure]);
  return value;
}
