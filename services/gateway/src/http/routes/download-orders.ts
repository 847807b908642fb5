import type { DownloadOrder } from '@khumbu/intake/order-download';
import { OperationSchema } from '@khumbu/rest-contract/operations';
import { StationOperationParams } from '@khumbu/rest-contract/parameters';
import { ref } from '../contract-schemas.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';
import { type CancelDeps, storing } from './cancel.js';

interface OrderText {
  readonly order: DownloadOrder;
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly description: string;
}

const ORDERS: readonly OrderText[] = [
  {
    order: 'pause',
    path: 'pause',
    id: 'pauseDownload',
    summary: 'Pause the download',
    description:
      'EVerest is told `DownloadPaused`, or `DownloadScheduled` where it had not begun, as far as its dialect has the word. What was fetched stays. A fetch that other updates wait for goes on for them. Its time does not run out meanwhile, for 31 days. Safe to repeat.',
  },
  {
    order: 'resume',
    path: 'resume',
    id: 'resumeDownload',
    summary: 'Let the download go on',
    description:
      'Ends a pause of this update: it goes on where it stopped, as soon as the window, the budgets and the depot let it. Safe to repeat.',
  },
  {
    order: 'download_now',
    path: 'download-now',
    id: 'downloadNow',
    summary: 'Download now',
    description:
      'As `resume`, and neither the download window nor a budget keeps this update from now on. A pause of the whole depot does. Safe to repeat.',
  },
];

/** What an operator may say about the download of an update. */
export function downloadOrderRoutes(app: RestApp, { inventory, intake, audit }: CancelDeps): void {
  for (const { order, path, id, summary, description } of ORDERS) {
    app.post(
      `/stations/:stationId/firmware-updates/:operationId/${path}`,
      describeRoute({
        id,
        tag: 'firmware',
        scope: 'operate',
        summary,
        description,
        problems: [...WITH_ANY_BODY, 'STATION_UNKNOWN', 'OPERATION_UNKNOWN', 'SLOT_BUSY', 'NO_DOWNLOAD'],
        success: answers(200, 'The operation; this is stored.', ref(OperationSchema)),
        takes: { params: StationOperationParams },
      }),
      async (request) => {
        const { stationId: station, operationId } = request.params;
        await inventory.requireStation(station);
        const { kind } = await storing(intake.orderDownload(station, operationId, order, request.caller?.name));
        if (kind === 'unknown') throw new Problem('OPERATION_UNKNOWN');
        audit(request, `${order} firmware_update`, station, { outcome: kind, operationId });
        if (kind === 'busy') throw new Problem('SLOT_BUSY', undefined, { operationId });
        if (kind === 'too_late') throw new Problem('NO_DOWNLOAD', undefined, { operationId });
        return inventory.view(await inventory.record(operationId));
      },
    );
  }
}
