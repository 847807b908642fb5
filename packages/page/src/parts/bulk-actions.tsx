/** What a person may ask of many stations at once. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { BulkResult } from '@khumbu/client/generated/rest-api';
import { usePage } from '../context.js';
import { ORDERED, type Order, type Ordered, textOf } from '../orders.js';
import { en } from '../texts.js';
import { useBulkOrder } from '../use-bulk-order.js';
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
  key: string,
  stations: readonly string[],
  { what, body: order }: Order,
  kept: Kept,
): Promise<BulkResult> {
  const params = { header: { 'idempotency-key': key } };
  const common = { target: { stations: [...stations] }, ...kept };
  if (what === 'update') return answered(khumbu.POST('/v1/firmware-updates', { params, body: { ...common, order } }));
  if (what === 'logs') return answered(khumbu.POST('/v1/log-uploads', { params, body: { ...common, order } }));
  return answered(khumbu.POST('/v1/resets', { params, body: { ...common, order } }));
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
  const { khumbu, mayOperate } = usePage();
  const [asked, ask] = useOpened<Asked>();
  const { told, order: begin, askAgain, close } = useBulkOrder();
  const texts = en.bulk;
  const order = ({ what, stations }: Asked, ordered: Promise<Order>, fields: FormData): void => {
    const title = textOf(fields, 'title');
    const kept = { ...(title === '' ? {} : { title }), ...(fields.has('dry-run') ? { dryRun: true } : {}) };
    begin(what, async (key) => send(khumbu, key, stations, await ordered, kept));
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
          onOrder={(ordered, fields) => order(asked.what, ordered, fields)}
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
      <div aria-live="polite">
        {told?.result ? (
          <BulkResultCard
            what={told.what}
            result={told.result}
            isAsking={told.isAsking}
            onAskAgain={askAgain}
            onClose={close}
          />
        ) : null}
      </div>
    </section>
  );
}
