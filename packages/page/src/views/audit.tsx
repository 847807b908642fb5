import { answered } from '@khumbu/client/client';
import type { SecurityVerdict } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { textOf } from '../orders.js';
import { AuditEntry } from '../parts/audit-entry.js';
import { TableHead } from '../parts/table-head.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';
import { type AuditQuery, useSecurityLog } from '../use-security-log.js';

const verdictText = ({ ok, entries, fault }: SecurityVerdict): string => {
  const texts = en.audit;
  return ok || !fault ? texts.whole(entries) : texts.broken(fault.sequence, texts.faults[fault.kind]);
};

/** Whether all of the log is as it was written. */
function Whole() {
  const { khumbu, say } = usePage();
  const [isAsked, setIsAsked] = useState(false);
  const [verdict, setVerdict] = useState<SecurityVerdict>();
  const texts = en.audit;
  const check = async (): Promise<void> => {
    setIsAsked(true);
    try {
      setVerdict(await answered(khumbu.GET('/v1/security-log/verification', { params: { query: {} } })));
    } catch (error) {
      say(problemText(error), true);
    } finally {
      setIsAsked(false);
    }
  };
  return (
    <p class="buttons">
      <button type="button" disabled={isAsked} onClick={() => void check()}>
        {isAsked ? texts.checking : texts.check}
      </button>
      <span role="status" class={verdict && !verdict.ok ? 'failed' : 'well'}>
        {verdict ? verdictText(verdict) : ''}
      </span>
    </p>
  );
}

/** The browser's own time, as RFC 3339; empty: none. */
const momentOf = (local: string): string | undefined => (local === '' ? undefined : new Date(local).toISOString());

function queryOf(fields: FormData): AuditQuery {
  const [station, what] = [textOf(fields, 'station'), textOf(fields, 'what')];
  const [since, until] = [momentOf(textOf(fields, 'since')), momentOf(textOf(fields, 'until'))];
  return {
    ...(station === '' ? {} : { station }),
    ...(what === '' ? {} : { what }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}

function AuditForm({ onQuery }: { readonly onQuery: (query: AuditQuery) => void }) {
  const texts = en.audit;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    onQuery(queryOf(new FormData(event.currentTarget as HTMLFormElement)));
  };
  return (
    <search>
      <form class="audit-form" onSubmit={submit}>
        <label for="audit-station">{texts.station}</label>
        <input id="audit-station" name="station" />
        <label for="audit-what">{texts.what}</label>
        <input id="audit-what" name="what" aria-describedby="audit-what-hint" />
        <small id="audit-what-hint">{texts.whatHint}</small>
        <label for="audit-since">{texts.since}</label>
        <input id="audit-since" name="since" type="datetime-local" step={1} />
        <label for="audit-until">{texts.until}</label>
        <input id="audit-until" name="until" type="datetime-local" step={1} />
        <p class="buttons">
          <button type="submit">{texts.show}</button>
        </p>
      </form>
    </search>
  );
}

/** The security log: what was done, and by whom. */
export function Audit() {
  const [query, setQuery] = useState<AuditQuery>({});
  const { entries, older } = useSecurityLog(query);
  const texts = en.audit;
  return (
    <>
      <h1>{texts.name}</h1>
      <p>{texts.lead}</p>
      <Whole />
      <AuditForm onQuery={setQuery} />
      {entries?.length === 0 ? <p>{texts.none}</p> : null}
      <table>
        <TableHead names={[texts.at, texts.what, texts.station, texts.by, texts.how]} />
        <tbody>
          {entries?.map((entry) => (
            <AuditEntry key={entry.sequence} entry={entry} />
          ))}
        </tbody>
      </table>
      {older ? (
        <p class="buttons">
          <button type="button" onClick={() => void older()}>
            {texts.older}
          </button>
        </p>
      ) : null}
    </>
  );
}
