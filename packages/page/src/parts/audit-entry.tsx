import type { SecurityEntry } from '@khumbu/client/generated/rest-api';
import { timeText } from '../formats.js';
import { stationAddress } from '../routes.js';
import { en } from '../texts.js';

const whoText = ({ by: { cause, name } }: SecurityEntry): string => {
  const texts = en.audit;
  return name === undefined ? texts.causes[cause] : texts.byName(texts.causes[cause], name);
};

function howText({ ok, reason, message }: SecurityEntry): string {
  const went = ok === undefined ? undefined : ok ? en.audit.well : en.audit.failed;
  return [went, reason, message].filter(Boolean).join(': ');
}

function Details({ entry: { details = {}, operationId, sequence, hash } }: { readonly entry: SecurityEntry }) {
  const facts = Object.entries(details).map(([name, value]) => [name, [value].flat().join(', ')] as const);
  const all = [
    ...facts,
    ...(operationId === undefined ? [] : [[en.operation.id, operationId] as const]),
    [`#${sequence}`, hash] as const,
  ];
  return (
    <details>
      <summary>{en.audit.more}</summary>
      <dl class="facts">
        {all.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** One entry of the security log, as a row. */
export function AuditEntry({ entry }: { readonly entry: SecurityEntry }) {
  const { at, what, phase, stationId, ok } = entry;
  const texts = en.audit;
  return (
    <tr>
      <td data-label={texts.at}>
        <time dateTime={at}>{timeText(at)}</time>
      </td>
      <td data-label={texts.what}>
        {texts.words[what] ?? en.kinds[what] ?? what} <small>{texts.phases[phase]}</small>
      </td>
      <td data-label={texts.station}>
        {stationId === undefined ? texts.depot : <a href={stationAddress(stationId)}>{stationId}</a>}
      </td>
      <td data-label={texts.by}>{whoText(entry)}</td>
      <td data-label={texts.how}>
        <span class={ok === false ? 'failed' : undefined}>{howText(entry)}</span>
        <Details entry={entry} />
      </td>
    </tr>
  );
}
