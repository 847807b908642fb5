/** What a person may ask of a station. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { Station } from '@khumbu/client/generated/rest-api';
import { usePage } from '../context.js';
import { ORDERED, type Order, type Ordered } from '../orders.js';
import { en } from '../texts.js';
import { useAct } from '../use-act.js';
import { useOpened } from '../use-opened.js';
import { OrderDialog } from './order-dialog.js';

function send(khumbu: KhumbuClient, stationId: string, order: Order): Promise<unknown> {
  const params = { path: { stationId } };
  if (order.what === 'update')
    return answered(khumbu.POST('/v1/stations/{stationId}/firmware-updates', { params, body: order.body }));
  if (order.what === 'logs')
    return answered(khumbu.POST('/v1/stations/{stationId}/log-uploads', { params, body: order.body }));
  return answered(khumbu.POST('/v1/stations/{stationId}/reset', { params, body: order.body }));
}

export function StationActions({ station: { stationId, refusedBecause } }: { readonly station: Station }) {
  const { khumbu, mayOperate } = usePage();
  const act = useAct();
  const [asked, ask] = useOpened<Ordered>();
  if (!mayOperate || refusedBecause) return null;
  const texts = en.actions;
  return (
    <section aria-label={texts.heading}>
      <p class="buttons">
        {ORDERED.map((what) => (
          <button key={what} type="button" onClick={() => ask(what)}>
            {texts[what]}
          </button>
        ))}
      </p>
      {asked ? (
        <OrderDialog
          key={asked.key}
          what={asked.what}
          onOrder={(order) => void act(texts[asked.what], async () => send(khumbu, stationId, await order))}
          onClose={asked.close}
        />
      ) : null}
    </section>
  );
}
