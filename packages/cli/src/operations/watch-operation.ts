/** An operation, watched until it has ended. */
import { answered } from '@khumbu/client/client';
import type { Operation, ProgressEvent } from '@khumbu/client/generated/rest-api';
import type { Depot } from '../depot/open-depot.js';

/** What is known of it while it runs; from its view or from an event. */
export type Standing = Pick<Operation, 'status' | 'ended' | 'waitingFor' | 'waiting' | 'outcome'> & {
  readonly at: string;
};

export interface Watching {
  /** It stands elsewhere, or waits for something else. */
  readonly onStanding: (standing: Standing) => void;
  readonly onProgress: (progress: ProgressEvent) => void;
  readonly signal: AbortSignal;
}

const standingOf = ({ status, ended, waitingFor, waiting, outcome, updatedAt }: Operation): Standing => ({
  status,
  ended,
  at: updatedAt,
  ...(waitingFor === undefined ? {} : { waitingFor }),
  ...(waiting === undefined ? {} : { waiting }),
  ...(outcome === undefined ? {} : { outcome }),
});

/**
 * Resolves with the operation once it has ended. It is read anew whenever the stream of events opens, so nothing is missed
 * between the two, nor over a restart of gateways. Rejects when `signal` fires, or the depot refuses to tell.
 */
export async function watchOperation(depot: Depot, operationId: string, watching: Watching): Promise<Operation> {
  const over = new AbortController();
  const signal = AbortSignal.any([watching.signal, over.signal]);
  const params = { path: { operationId } };
  const read = (): Promise<Operation> => answered(depot.client.GET('/v1/operations/{operationId}', { params, signal }));
  const shown = { at: '', text: '' };
  const show = (standing: Standing): void => {
    const text = JSON.stringify([standing.status, standing.waitingFor, standing.ended]);
    // An event may overtake the view that was asked for before it.
    if (standing.at < shown.at || text === shown.text) return;
    Object.assign(shown, { at: standing.at, text });
    watching.onStanding(standing);
  };

  const first = await read();
  show(standingOf(first));
  if (first.ended) return first;
  try {
    return await new Promise<Operation>((resolve, reject) => {
      const look = (): void => {
        read().then((operation) => {
          show(standingOf(operation));
          if (operation.ended) resolve(operation);
        }, reject);
      };
      const follow = async (): Promise<void> => {
        const events = depot.client.follow({
          station: [first.stationId],
          kind: [first.kind],
          type: ['operation', 'progress'],
          signal,
          onState: (state) => void (state === 'open' && look()),
        });
        for await (const { event } of events) {
          if (event.type === 'gap') look();
          else if (!('operationId' in event) || event.operationId !== operationId) continue;
          else if (event.type === 'progress') watching.onProgress(event);
          else if (event.type === 'operation') {
            show(event);
            if (event.ended) look();
          }
        }
        reject(signal.reason);
      };
      follow().catch(reject);
    });
  } finally {
    over.abort();
  }
}
