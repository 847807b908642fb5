import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { createStore } from '@khumbu/operations/kinds/store';
import { ended, newRecordBase } from '@khumbu/operations/records/record';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { openStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';

void t.test('an update that ran out of time keeps its slot while the station is away, without a word', async (t) => {
  const { redis } = await openRedis(t, t.testdir({ 'stations.yaml': 'stations: { cs-1: { driver: simulated } }' }));
  const store = createStore(redis, 't');
  const directory = openStationDirectory(`${t.testdirName}/stations.yaml`, {
    usable: () => undefined,
    unusable: (_setting, error) => t.fail(String(error)),
  });
  t.teardown(() => directory.close());
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => void lines.push(line) });
  const now = () => momentOf(Date.now());

  let station: 'away' | 'busy' | 'idle' = 'away';
  const driver: Partial<StationDriver> = {
    retire: async () => undefined,
    observe: async () => {
      if (station === 'away') throw new CodedError('STATION_UNREACHABLE', 'nobody there');
      return { bootId: 'b', healthy: true, busy: station === 'busy' };
    },
  };
  const jobs: Pick<Jobs, 'ensure'> = { ensure: async () => undefined };
  const confirm = createConfirm({
    store,
    jobs: jobs as Jobs,
    directory,
    images: sharedSpool(t.testdirName),
    checks: createImageChecks(),
    driverOf: () => driver as StationDriver,
    now,
  });
  const loop = createJobLoop({
    steps: { confirm },
    store,
    jobs,
    log,
    now,
  });
  const asked = { station: 'cs-1', origin: 'everest', requestId: 7, now: now() } as const;
  const update: FirmwareUpdateRecord = {
    ...newRecordBase('firmware_update', 'InstallationFailed', asked),
    request: { location: 'http://h/f', request_id: 7 },
    signed: false,
    announced: true,
    permissionNeeded: true,
    tries: 0,
    slotHeld: true,
  };
  await store.commit(store.transaction().put(ended(update, now(), { ok: false, reason: 'deadline' })));
  const load = async () => (await store.load(update.id)) as FirmwareUpdateRecord;
  const work = async () => {
    const due = { ...(await load()), notBefore: 0 };
    await store.commit(store.transaction().put(due));
    const jobId = expectedJob(due)?.jobId ?? '';
    const job = { jobId, name: 'confirm', operationId: update.id, isOurs: async () => true } as const;
    await loop(job, new AbortController().signal);
    return load();
  };

  t.match(await work(), { slotHeld: true, waitingFor: 'station_unreachable', faults: undefined });
  t.match(await work(), { slotHeld: true, waitingFor: 'station_unreachable', faults: undefined });
  station = 'busy';
  t.match(await work(), { slotHeld: true, waitingFor: 'station_busy' });
  station = 'idle';
  t.match(await work(), { slotHeld: undefined, waitingFor: undefined, outcome: { reason: 'deadline' } });
  t.same(lines, [], 'it is no surprise');
  t.equal(await redis.xlen(store.keys.events), 1, 'its end is told once');
});
