import type { Operation } from '@khumbu/client/generated/rest-api';
import { progressShare, progressWords } from '../progress-words.js';
import { en } from '../texts.js';

/** How far the transfer or installation of an operation is, with rate and estimate. */
export function Progress({ operation }: { readonly operation: Operation }) {
  const { progress, kind } = operation;
  if (!progress || operation.ended) return null;
  const share = progressShare(progress);
  return (
    <span class="progress">
      <progress aria-label={en.kinds[kind] ?? kind} max={100} {...(share === undefined ? {} : { value: share })} />
      <small>{progressWords(progress).join(', ')}</small>
    </span>
  );
}
