import type { Operation } from '@khumbu/client/generated/rest-api';
import { timeText } from '../formats.js';
import { en } from '../texts.js';

/** Every status an operation has had, oldest first. */
export function Timeline({ operation }: { readonly operation: Operation }) {
  return (
    <ol class="timeline" aria-label={en.operation.timeline}>
      {operation.history.map(({ at, status, reason }) => (
        <li key={`${at} ${status}`}>
          <time dateTime={at}>{timeText(at)}</time> <strong>{status}</strong>
          {reason ? <small> {reason}</small> : null}
        </li>
      ))}
    </ol>
  );
}
