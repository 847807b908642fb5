/** What a person may do with an operation that is under way. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { Operation } from '@khumbu/client/generated/rest-api';
import { usePage } from '../context.js';
import { en } from '../texts.js';
import { useAct } from '../use-act.js';
import { useOpened } from '../use-opened.js';
import { Confirm } from './confirm.js';

interface Action {
  readonly name: string;
  readonly consequence: string;
  readonly isPossible: (operation: Operation) => boolean;
  readonly act: (khumbu: KhumbuClient, path: { stationId: string; operationId: string }) => Promise<unknown>;
}

const UPDATE = '/v1/stations/{stationId}/firmware-updates/{operationId}';
const waitsFor = ({ waiting }: Operation, ...words: readonly string[]): boolean =>
  waiting !== undefined && words.includes(waiting.for);
const isDownload = ({ kind, status }: Operation): boolean =>
  kind === 'firmware_update' && ['Accepted', 'DownloadScheduled', 'Downloading', 'DownloadPaused'].includes(status);
const isPaused = ({ pausedBy }: Operation): boolean => pausedBy !== undefined;

const ACTIONS: readonly Action[] = [
  {
    name: en.actions.allow,
    consequence: en.consequences.allow,
    isPossible: (operation) => waitsFor(operation, 'permission', 'permission_unobtainable', 'station_away'),
    act: (khumbu, path) => answered(khumbu.POST(`${UPDATE}/allow-installation`, { params: { path } })),
  },
  {
    name: en.actions.pause,
    consequence: en.consequences.pause,
    isPossible: (operation) => isDownload(operation) && !isPaused(operation),
    act: (khumbu, path) => answered(khumbu.POST(`${UPDATE}/pause`, { params: { path } })),
  },
  {
    name: en.actions.resume,
    consequence: en.consequences.resume,
    isPossible: isPaused,
    act: (khumbu, path) => answered(khumbu.POST(`${UPDATE}/resume`, { params: { path } })),
  },
  {
    name: en.actions.downloadNow,
    consequence: en.consequences.downloadNow,
    isPossible: (operation) => waitsFor(operation, 'download_window', 'month_budget', 'update_budget'),
    act: (khumbu, path) => answered(khumbu.POST(`${UPDATE}/download-now`, { params: { path } })),
  },
  {
    name: en.actions.cancel,
    consequence: en.consequences.cancel,
    isPossible: ({ kind, status }) =>
      kind === 'log_upload' || (kind === 'firmware_update' && !['Installing', 'InstallRebooting'].includes(status)),
    act: (khumbu, path) => answered(khumbu.DELETE(UPDATE, { params: { path } })),
  },
];

const cancelLogs = (khumbu: KhumbuClient, path: { stationId: string; operationId: string }): Promise<unknown> =>
  answered(khumbu.DELETE('/v1/stations/{stationId}/log-uploads/{operationId}', { params: { path } }));

export function OperationActions({ operation }: { readonly operation: Operation }) {
  const { khumbu, mayOperate } = usePage();
  const act = useAct();
  const [asked, ask] = useOpened<Action>();
  if (operation.ended || !mayOperate) return null;
  const possible = ACTIONS.filter(({ isPossible }) => isPossible(operation));
  const { stationId, operationId } = operation;
  const perform = (action: Action): void => {
    const isLogs = action.name === en.actions.cancel && operation.kind === 'log_upload';
    const path = { stationId, operationId };
    void act(action.name, () => (isLogs ? cancelLogs(khumbu, path) : action.act(khumbu, path)));
  };
  return (
    <p class="buttons">
      {possible.map((action) => (
        <button key={action.name} type="button" onClick={() => ask(action)}>
          {action.name}
        </button>
      ))}
      {asked ? (
        <Confirm
          key={asked.key}
          heading={asked.what.name}
          consequence={asked.what.consequence}
          onConfirm={() => perform(asked.what)}
          onClose={asked.close}
        />
      ) : null}
    </p>
  );
}
