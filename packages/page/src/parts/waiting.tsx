import type { Waiting as WaitingView } from '@khumbu/client/generated/rest-api';
import { timeText } from '../formats.js';
import { en } from '../texts.js';

/** What an operation waits for, since when, until when, what comes then, and who can lift it. */
export function Waiting({ waiting }: { readonly waiting: WaitingView }) {
  const { waiting: texts } = en;
  const { until, afterwards } = waiting;
  const parts = [
    texts.since(timeText(waiting.since)),
    ...(until ? [`${texts.until(timeText(until))}${afterwards ? `, ${texts.afterwards[afterwards]}` : ''}`] : []),
    ...(waiting.liftedBy.length > 0
      ? [texts.liftedBy(waiting.liftedBy.map((who) => texts.lifters[who] ?? who).join(', '))]
      : []),
  ];
  return (
    <span class="waiting">
      <strong>{texts.for[waiting.for] ?? waiting.for}</strong> <small>{parts.join('; ')}</small>
      {waiting.detail ? <small> {waiting.detail}</small> : null}
    </span>
  );
}
