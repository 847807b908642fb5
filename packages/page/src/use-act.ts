import { ProblemError } from '@khumbu/client/problem-error';
import { usePage } from './context.js';
import { en } from './texts.js';

export const problemText = (error: unknown): string =>
  error instanceof ProblemError ? en.problem(error.message, error.code) : en.unexpected;

/** Do something and say how it went. */
export function useAct(): (name: string, act: () => Promise<unknown>) => Promise<void> {
  const { say } = usePage();
  return async (name, act) => {
    try {
      await act();
      say(en.actions.done(name));
    } catch (error) {
      say(problemText(error), true);
    }
  };
}
