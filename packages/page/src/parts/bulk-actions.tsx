/** What a person may ask of many stations at once. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { BulkResult } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { ORDERED, type Order, type Ordered, textOf } from '../orders.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';
import { useOpened } from '../use-opened.js';
import { BulkResultCard } from './bulk-result.js';
import { OrderDialog } from './order-dialog.js';

/** Names that a dialog shows; of more it says how many. */
const NAMED = 10;

/** As they were chosen when the dialog opened: a filter may choose others meanwhile. */
interface Asked {
  readonly what: Ordered;
  readonly stations: readonly string[];
}

interface Kept {
  readonly title?: string;
  readonly dryRun?: boolean;
}

function send(
  khumbu: KhumbuClient,
  stations: readonly string[],
  { what, body: order }: Order,
  kept: Kept,
): Promise<BulkResult> {
  const common = { target: { stations: [...stations] }, ...kept };
  if (what === 'update') return answered(khumbu.POST('/v1/firmware-updates', { body: { ...common, order } }));
  if (what === 'logs') return answered(khumbu.POST('/v1/log-uploads', { body: { ...common, order } }));
  return answered(khumbu.POST('/v1/resets', { body: { ...common, order } }));
}

function whereText(stations: readonly string[]): string {
  const named = stations.slice(0, NAMED);
  return en.bulk.where(stations.length, named, stations.length - named.length);
}

interface BulkActionsProps {
  /** Those that could be chosen. */
  readonly possible: readonly string[];
  readonly chosen: readonly string[];
  readonly onChoose: (stations: readonly string[]) => void;
}

export function BulkActions({ possible, chosen, onChoose }: BulkActionsProps) {
  const { khumbu, mayOperate, say } = usePage();
  const [asked, ask] = useOpened<Asked>();
  const [told, setTold] = useState<{ readonly what: Ordered; readonly result: BulkResult }>();
  const texts = en.bulk;
  const order = async ({ what, stations }: Asked, ordered: Promise<Order>, fields: FormData): Promise<void> => {
    const title = textOf(fields, 'title');
    const kept = { ...(title === '' ? {} : { title }), ...(fields.has('dry-run') ? { dryRun: true } : {}) };
    try {
      setTold({ what, result: await send(khumbu, stations, await ordered, kept) });
    } catch (error) {
      say(problemText(error), true);
    }
  };
  const isIdle = possible.length === 0 && !asked && !told;
  if (!mayOperate || isIdle) return null;
  return (
    <section aria-label={texts.heading}>
      <p class="buttons">
        <button type="button" disabled={chosen.length === possible.length} onClick={() => onChoose(possible)}>
          {texts.all(possible.length)}
        </button>
        <button type="button" disabled={chosen.length === 0} onClick={() => onChoose([])}>
          {texts.none}
        </button>
        {ORDERED.map((what) => (
          <button
            key={what}
            type="button"
            disabled={chosen.length === 0}
            onClick={() => ask({ what, stations: chosen })}
          >
            {en.actions[what]}
          </button>
        ))}
        <small role="status">{texts.chosen(chosen.length)}</small>
      </p>
      {asked ? (
        <OrderDialog
          key={asked.key}
          what={asked.what.what}
          where={whereText(asked.what.stations)}
          onOrder={(ordered, fields) => void order(asked.what, ordered, fields)}
          onClose={asked.close}
        >
          <label for="title">{texts.title}</label>
          <input id="title" name="title" maxLength={200} aria-describedby="title-hint" />
          <small id="title-hint">{texts.titleHint}</small>
          <label class="check">
            <input name="dry-run" type="checkbox" /> {texts.dryRun}
          </label>
        </OrderDialog>
      ) : null}
      <div aria-live="polite">{told ? <BulkResultCard {...told} onClose={() => setTold(undefined)} /> : null}</div>
    </section>
  );
}
