/** The page: who is signed in, where one is, and what was said last. */
import { ProblemError } from '@khumbu/client/problem-error';
import { useEffect, useState } from 'preact/hooks';
import { Page } from './context.js';
import { type DepotState, followDepot, NOTHING } from './depot.js';
import { useRoute } from './routes.js';
import { findSession, type SignedIn, signInByLink, signInFailure, signOut } from './session.js';
import { en } from './texts.js';
import { problemText } from './use-act.js';
import { Audit } from './views/audit.js';
import { Images } from './views/images.js';
import { Operations } from './views/operations.js';
import { SignIn } from './views/sign-in.js';
import { StationView } from './views/station.js';
import { Stations } from './views/stations.js';

interface Notice {
  readonly text: string;
  readonly isProblem: boolean;
}

const TABS = [
  { view: 'stations', name: en.stations },
  { view: 'operations', name: en.operations },
  { view: 'images', name: en.images },
] as const;
const ADMIN_TABS = [...TABS, { view: 'audit', name: en.audit.name }] as const;

/** Whether what is shown is what there is. */
function Connection({ isLive, failure }: DepotState) {
  const isWell = isLive && !failure;
  const why = failure ? en.connection.failed(problemText(failure.error)) : en.connection.lost;
  return (
    <span role="status" class={isWell ? 'live' : 'lost'}>
      {isWell ? en.connection.live : why}
    </span>
  );
}

function Signed({ signedIn, onOut }: { readonly signedIn: SignedIn; readonly onOut: () => void }) {
  const { khumbu, session } = signedIn;
  const route = useRoute();
  const [depot, setDepot] = useState<DepotState>(NOTHING);
  const [changes, setChanges] = useState<ReadonlyMap<string, number>>(new Map());
  const [notice, setNotice] = useState<Notice>();
  useEffect(() => {
    const ended = new AbortController();
    const onEvent = (stationId: string): void =>
      setChanges((before) => new Map(before).set(stationId, (before.get(stationId) ?? 0) + 1));
    followDepot(khumbu, ended.signal, setDepot, onEvent).catch((error: unknown) => {
      if (error instanceof ProblemError && error.code === 'NOT_AUTHENTICATED') onOut();
      else setNotice({ text: problemText(error), isProblem: true });
    });
    return () => ended.abort();
  }, [khumbu]);
  const page = {
    khumbu,
    depot,
    changesOf: (stationId: string) => changes.get(stationId) ?? 0,
    mayOperate: session.scopes.some((scope) => scope !== 'read'),
    mayAdminister: session.scopes.includes('admin'),
    say: (text: string, isProblem = false) => setNotice({ text, isProblem }),
  };
  const leave = (): void => void signOut(signedIn).then(onOut, (error: unknown) => page.say(problemText(error), true));
  return (
    <Page.Provider value={page}>
      <header>
        <nav aria-label={en.title}>
          {(page.mayAdminister ? ADMIN_TABS : TABS).map(({ view, name }) => (
            <a key={view} href={`#/${view}`} {...(route.view === view ? { 'aria-current': 'page' as const } : {})}>
              {name}
            </a>
          ))}
        </nav>
        <p>
          <Connection {...depot} /> <small>{en.signIn.as(session.caller)}</small>{' '}
          <button type="button" onClick={leave}>
            {en.signIn.out}
          </button>
        </p>
      </header>
      <main>
        <p role="alert" class={notice?.isProblem ? 'notice failed' : 'notice well'}>
          {notice?.text}
        </p>
        {route.view === 'stations' ? <Stations filter={route.filter} /> : null}
        {route.view === 'station' ? <StationView key={route.stationId} stationId={route.stationId} /> : null}
        {route.view === 'operations' ? <Operations filter={route.filter} /> : null}
        {route.view === 'images' ? <Images /> : null}
        {route.view === 'audit' && page.mayAdminister ? <Audit /> : null}
      </main>
    </Page.Provider>
  );
}

const failureText = (failure: string, requestId: string): string =>
  en.signIn.failed(en.signIn.failures[failure] ?? failure, requestId);

export function App() {
  const [signedIn, setSignedIn] = useState<SignedIn>();
  const [isAsked, setIsAsked] = useState(false);
  const [notice, setNotice] = useState<string>();
  const [isOutHere, setIsOutHere] = useState(false);
  useEffect(() => {
    const begin = async (): Promise<void> => {
      const failed = signInFailure();
      if (failed) setNotice(failureText(failed.failure, failed.requestId));
      // Another account may be let in: the provider goes on with this one until one signs out there.
      setIsOutHere(failed?.failure === 'NO_RIGHTS');
      const byLink = await signInByLink().catch((error: unknown) => {
        const isUsed = error instanceof ProblemError && error.code === 'NOT_AUTHENTICATED';
        setNotice(isUsed ? en.signIn.usedLink : problemText(error));
        return undefined;
      });
      setSignedIn(byLink ?? (await findSession()));
    };
    begin()
      .catch((error: unknown) => setNotice(problemText(error)))
      .finally(() => setIsAsked(true));
  }, []);
  if (signedIn) {
    const onOut = (): void => {
      setIsOutHere(signedIn.session.signedInWith === 'oidc');
      setNotice(undefined);
      setSignedIn(undefined);
    };
    return <Signed signedIn={signedIn} onOut={onOut} />;
  }
  if (!isAsked) return <main aria-busy="true">{en.loading}</main>;
  return <SignIn key={notice ?? ''} notice={notice} isOutHere={isOutHere} onSignedIn={setSignedIn} />;
}
