import type { Operation } from '@khumbu/client/generated/rest-api';
import { bytesText, timeText } from '../formats.js';
import { stationAddress } from '../routes.js';
import { en } from '../texts.js';
import { OperationActions } from './operation-actions.js';
import { Progress } from './progress.js';
import { Timeline } from './timeline.js';
import { Waiting } from './waiting.js';

function Outcome({ operation: { outcome } }: { readonly operation: Operation }) {
  if (!outcome) return null;
  const words = [outcome.ok ? en.operation.well : outcome.reason, outcome.message].filter(Boolean);
  return <p class={outcome.ok ? 'well' : 'failed'}>{words.join(': ')}</p>;
}

const archiveAddress = ({ stationId, operationId }: Operation): string =>
  `/v1/stations/${encodeURIComponent(stationId)}/log-uploads/${encodeURIComponent(operationId)}/archive`;

/** One operation with all that is known of it. */
export function OperationCard({
  operation,
  showsStation,
}: {
  readonly operation: Operation;
  readonly showsStation?: boolean;
}) {
  const { kind, status, operationId, stationId, location, sizeBytes, title } = operation;
  const texts = en.operation;
  const hasArchive = kind === 'log_upload' && status === 'Uploaded';
  return (
    <article class="card" aria-labelledby={operationId}>
      <h3 id={operationId}>
        {en.kinds[kind] ?? kind}: {status}
        {showsStation ? (
          <>
            {' '}
            <a href={stationAddress(stationId)}>{stationId}</a>
          </>
        ) : null}
      </h3>
      <p>
        <small>
          {en.origins[operation.origin]}
          {operation.askedBy ? ` (${operation.askedBy})` : ''},{' '}
          <time dateTime={operation.createdAt}>{timeText(operation.createdAt)}</time>
        </small>
      </p>
      {title === undefined ? null : <p>{title}</p>}
      {operation.waiting && !operation.ended ? <Waiting waiting={operation.waiting} /> : null}
      <Progress operation={operation} />
      <Outcome operation={operation} />
      {location ? (
        <p class="address">
          {texts.location}: {location}
        </p>
      ) : null}
      {hasArchive ? (
        <p>
          <a href={archiveAddress(operation)} download={operation.fileName}>
            {texts.download}
          </a>{' '}
          {sizeBytes === undefined ? null : <small>{bytesText(sizeBytes)}</small>}
        </p>
      ) : null}
      <OperationActions operation={operation} />
      <details open={!operation.ended}>
        <summary>{texts.timeline}</summary>
        <Timeline operation={operation} />
      </details>
    </article>
  );
}
