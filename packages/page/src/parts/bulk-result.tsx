import type { BulkResult } from '@khumbu/client/generated/rest-api';
import type { Ordered } from '../orders.js';
import { listAddress, stationAddress } from '../routes.js';
import { isUndecided } from '../send-until-decided.js';
import { en } from '../texts.js';

function Refusal({ result }: { readonly result: BulkResult['results'][number] }) {
  const { stationId, problem } = result;
  const text = en.problem(problem?.detail ?? problem?.title ?? '', problem?.code ?? '');
  return (
    <li class="failed">
      <a href={stationAddress(stationId)}>{stationId}</a>: {isUndecided(result) ? en.bulk.undecided(text) : text}
    </li>
  );
}

interface BulkResultProps {
  readonly what: Ordered;
  readonly result: BulkResult;
  /** Those that have not decided are being asked again. */
  readonly isAsking: boolean;
  readonly onAskAgain: () => void;
  readonly onClose: () => void;
}

/** What became of one order at each of many stations: the refusals first, for they want somebody. */
export function BulkResultCard({ what, result, isAsking, onAskAgain, onClose }: BulkResultProps) {
  const texts = en.bulk;
  const { accepted, dryRun, orderId, results } = result;
  const refusals = results.filter(({ problem }) => problem !== undefined);
  const undecided = results.filter(isUndecided).length;
  const refused = result.refused - undecided;
  return (
    <article class="card" aria-labelledby="bulk-result">
      <h2 id="bulk-result">{(dryRun ? texts.trial : texts.result)(en.actions[what], accepted, refused, undecided)}</h2>
      {refusals.length === 0 ? null : (
        <ul>
          {refusals.map((each) => (
            <Refusal key={each.stationId} result={each} />
          ))}
        </ul>
      )}
      <p class="buttons">
        {dryRun || undecided === 0 ? null : (
          <button type="button" disabled={isAsking} onClick={onAskAgain}>
            {isAsking ? texts.asking : texts.askAgain}
          </button>
        )}
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
