import { ProblemError } from '@khumbu/client/problem-error';
import { useState } from 'preact/hooks';
import { textOf } from '../parts/confirm.js';
import { type SignedIn, signIn } from '../session.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';

interface SignInProps {
  readonly notice: string | undefined;
  readonly onSignedIn: (signedIn: SignedIn) => void;
}

export function SignIn({ notice, onSignedIn }: SignInProps) {
  const texts = en.signIn;
  const [problem, setProblem] = useState(notice);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const key = textOf(new FormData(event.currentTarget as HTMLFormElement), 'key');
    try {
      onSignedIn(await signIn(key));
    } catch (error) {
      const isWrong = error instanceof ProblemError && error.code === 'NOT_AUTHENTICATED';
      setProblem(isWrong ? texts.wrongKey : problemText(error));
    }
  };
  return (
    <main class="sign-in">
      <h1>{en.title}</h1>
      <form onSubmit={(event) => void submit(event)}>
        <h2>{texts.heading}</h2>
        <label for="key">{texts.key}</label>
        <input id="key" name="key" type="password" autocomplete="off" required />
        <button type="submit" class="main">
          {texts.action}
        </button>
        <p>
          <small>{texts.hint}</small>
        </p>
        <p role="alert" class="failed">
          {problem}
        </p>
      </form>
    </main>
  );
}
