import type { BulkResult } from '@khumbu/client/generated/rest-api';
import type { Ordered } from '../orders.js';
import { listAddress, stationAddress } from '../routes.js';
import { en } from '../texts.js';

/** What became of one order at each of many stations: the refusals first, for they want somebody. */
export function BulkResultCard({
  what,
  result,
  onClose,
}: {
  readonly what: Ordered;
  readonly result: BulkResult;
  readonly onClose: () => void;
}) {
  const texts = en.bulk;
  const { accepted, refused, dryRun, orderId } = result;
  const refusals = result.results.filter(({ problem }) => problem !== undefined);
  return (
    <article class="card" aria-labelledby="bulk-result">
      <h2 id="bulk-result">{(dryRun ? texts.trial : texts.result)(en.actions[what], accepted, refused)}</h2>
      {refusals.length === 0 ? null : (
        <ul>
          {refusals.map(({ stationId, problem }) => (
            <li key={stationId} class="failed">
              <a href={stationAddress(stationId)}>{stationId}</a>:{' '}
              {en.problem(problem?.detail ?? problem?.title ?? '', problem?.code ?? '')}
            </li>
          ))}
        </ul>
      )}
      <p class="buttons">
        {dryRun || accepted === 0 ? null : (
          <a href={listAddress('operations', `orderId = ${orderId}`)}>{texts.operations}</a>
        )}
        <button type="button" onClick={onClose}>
          {texts.close}
        </button>
      </p>
    </article>
  );
}
