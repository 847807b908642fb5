import { ProblemError } from '@khumbu/client/problem-error';
import { useEffect, useState } from 'preact/hooks';
import { textOf } from '../orders.js';
import { addressOf, findProvider, type Provider, type SignedIn, signIn } from '../session.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';

interface SignInProps {
  readonly notice: string | undefined;
  /** Of somebody who was signed in at the provider, and has signed out here. */
  readonly isOutHere: boolean;
  readonly onSignedIn: (signedIn: SignedIn) => void;
}

function AtProvider({ provider, isOutHere }: { readonly provider: Provider; readonly isOutHere: boolean }) {
  const texts = en.signIn;
  const { name, signOutPath } = provider;
  return (
    <section>
      {isOutHere ? <p role="status">{texts.outHere(name)}</p> : null}
      {isOutHere && signOutPath !== undefined ? (
        <p>
          <a href={signOutPath}>{texts.outThere(name)}</a>
        </p>
      ) : null}
      <p>
        <a class="main button" href={addressOf(provider, location.hash)}>
          {texts.at(name)}
        </a>
      </p>
    </section>
  );
}

export function SignIn({ notice, isOutHere, onSignedIn }: SignInProps) {
  const texts = en.signIn;
  const [problem, setProblem] = useState(notice);
  const [provider, setProvider] = useState<Provider>();
  useEffect(() => {
    findProvider().then(setProvider, (error: unknown) => setProblem(problemText(error)));
  }, []);
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
      <h2>{texts.heading}</h2>
      {provider ? <AtProvider provider={provider} isOutHere={isOutHere} /> : null}
      <form onSubmit={(event) => void submit(event)}>
        {provider ? <h3>{texts.withKey}</h3> : null}
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
