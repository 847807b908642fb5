/** The first step of an update: join the depot's fetch of its location. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { fetchKey, joinFetch, newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import { holdDownload } from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { sleep } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { DownloadGate } from './download-gate.js';
import { applyAll, type StepDeps, viewStation } from './step-deps.js';

/** Two hundred updates may join at once; each lost race is a few milliseconds. */
const MAX_RACES = 500;
const RACE_PAUSE_MS = 20;

export function createJoinFetch(
  deps: StepDeps,
  ignored: IgnoredParameters,
  locations: Pick<LocationPolicy, 'check'>,
  gate: Pick<DownloadGate, 'holdOf'>,
) {
  const { store, jobs, now } = deps;
  return async (record: FirmwareUpdateRecord, { signal, commit }: StepContext): Promise<void> => {
    const { station, origin, request } = record;
    // Checked again: settings may have changed since the request. For each update: stations have different permissions.
    const isHere = artifactOf(request.location) !== undefined;
    const checked = isHere ? undefined : locations.check(request.location, { for: 'firmware', station, origin });
    if (checked?.ok === false) {
      const { context } = await viewStation(deps, station);
      const detail = { reason: 'location_refused' as const, message: `${checked.code}: ${checked.reason}` };
      const transaction = store.transaction();
      applyAll(transaction, record, [{ event: 'gaveUp', detail }], context);
      return commit(transaction);
    }
    const { id, location } = fetchKey(request.location, ignored(request.location));
    for (let race = 0; race < MAX_RACES; race++) {
      signal.throwIfAborted();
      const { context } = await viewStation(deps, station);
      const fetch = (await store.load(id, 'firmware_fetch')) ?? newFetch(id, location, now());
      // Asked once: hundreds may race for one fetch. What changes meanwhile is seen by the fetch.
      const hold = race === 0 ? await gate.holdOf(record, id, fetch.state === 'Fetching') : undefined;
      if (hold) {
        const held = holdDownload(record, hold, context);
        return commit(store.transaction().put(held.record).enqueueStatus(station, held.statuses));
      }
      const joined = joinFetch(fetch, record.id, location, now());
      const set = { fetch: { id, generation: joined.generation }, tries: record.tries + 1 };
      const transaction = store.transaction();
      applyAll(transaction, record, [{ event: 'fetchJoined', detail: { set } }], context);
      if (await store.commit(transaction.put(joined.fetch))) {
        await jobs.ensure(joined.fetch);
        return;
      }
      const current = await store.load(record.id);
      if (current?.version !== record.version) break;
      await sleep(Math.random() * RACE_PAUSE_MS, signal);
    }
    throw new CodedError('CONFLICT', 'the update has moved on');
  };
}
