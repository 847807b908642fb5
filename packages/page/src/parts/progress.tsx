import type { Operation } from '@khumbu/client/generated/rest-api';
import { usePage } from '../context.js';
import { bytesText, spanText } from '../formats.js';
import { rateOf, secondsLeft } from '../pace.js';
import { en } from '../texts.js';

/** How far the transfer or installation of an operation is, with rate and estimate. */
export function Progress({ operation }: { readonly operation: Operation }) {
  const { depot } = usePage();
  const { progress, operationId, kind } = operation;
  if (!progress || operation.ended) return null;
  const { bytes, totalBytes, percent } = progress;
  const texts = en.progress;
  const pace = depot.paces.get(operationId) ?? { samples: [] };
  const rate = rateOf(pace);
  const left = secondsLeft(pace, totalBytes);
  const words = [
    ...(percent === undefined ? [] : [`${percent} %`]),
    ...(bytes === undefined
      ? []
      : [
          totalBytes === undefined
            ? texts.bytesOnly(bytesText(bytes))
            : texts.bytes(bytesText(bytes), bytesText(totalBytes)),
        ]),
    ...(rate === undefined ? [] : [texts.rate(bytesText(rate))]),
    ...(left === undefined ? [] : [texts.left(spanText(left))]),
  ];
  const share = percent ?? (bytes !== undefined && totalBytes ? Math.round((bytes / totalBytes) * 100) : undefined);
  return (
    <span class="progress">
      <progress aria-label={en.kinds[kind] ?? kind} max={100} {...(share === undefined ? {} : { value: share })} />
      <small>{words.join(', ')}</small>
    </span>
  );
}
