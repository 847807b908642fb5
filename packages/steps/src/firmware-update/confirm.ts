/** The reboot into the new image and the verdict after it: Installed only from what the station itself testifies. */
import { setTimeout as pause } from 'node:timers/promises';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Reason } from '@khumbu/operations/records/reasons';
import { isEnded } from '@khumbu/operations/records/record';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import type { StationDriver, StationEvidence } from '@khumbu/station-drivers/port';
import { orSettle } from '../driver-faults.js';
import { noteEvidence } from '../observe.js';
import { awaitHeartbeat } from './await-heartbeat.js';
import { lookAtCertificates } from './certificates.js';
import { createReleaseWhenIdle } from './release-when-idle.js';
import { settleUpdate } from './settle-update.js';
import { applyAll, type StepDeps, viewStation } from './step-deps.js';

/** EVerest should receive InstallRebooting before the reboot; a station that is away is not waited for. */
const STATUS_LEAD_MS = 5000;
/**
 * The broker has it before EVerest has: there may be a bridge between them, and EVerest may be busy. A heartbeat that follows
 * tells that EVerest goes on; this is for one that has none, or whose next one is far.
 */
const HEARTBEAT_WAIT_MS = 1000;
const LOOK_MS = 25;
/** Pure: what the evidence after the reboot means. */
export function judgeEvidence(
  record: Pick<FirmwareUpdateRecord, 'id' | 'image' | 'bootIdBefore'>,
  evidence: StationEvidence,
): { readonly event: 'proved' | 'fellBack'; readonly reason?: Reason } {
  if (evidence.bootId === record.bootIdBefore) return { event: 'fellBack', reason: 'not_rebooted' };
  const ours = evidence.runningInstalledBy === record.id && evidence.runningImageSha256 === record.image?.sha256;
  if (!ours) return { event: 'fellBack', reason: 'fell_back' };
  return evidence.healthy ? { event: 'proved' } : { event: 'fellBack', reason: 'not_healthy' };
}

/** The reboot, and what the station testifies after it. */
async function reboot(
  record: FirmwareUpdateRecord,
  { signal, log }: StepContext,
  driver: StationDriver,
  now: StepDeps['now'],
) {
  await driver.start({ step: 'reboot', operationId: record.id }, signal);
  log.info('reboot started');
  const effect = await awaitEffect(driver, record.id, 'reboot', signal);
  if (effect.state === 'failed')
    return { event: 'installFailed', detail: { reason: 'reboot_failed', message: effect.message } } as const;
  const asked = now();
  const evidence = await driver.observe(signal);
  const { event, ...detail } = judgeEvidence(record, evidence);
  return { event, detail, seen: { evidence, asked } } as const;
}

export function createConfirm(deps: StepDeps) {
  const { store, driverOf, now } = deps;

  const awaitTold = async (record: FirmwareUpdateRecord, signal: AbortSignal): Promise<void> => {
    const until = performance.now() + STATUS_LEAD_MS;
    while (performance.now() < until) {
      const waiting = await store.outboxEntries(record.station);
      if (!waiting.some((entry) => entry.operationId === record.id)) break;
      await pause(LOOK_MS, undefined, { signal });
    }
    const patience = { since: now().monotonic, withinMs: HEARTBEAT_WAIT_MS, lookMs: LOOK_MS };
    if (record.announced) await awaitHeartbeat(store, record.station, patience, signal);
  };

  const releaseWhenIdle = createReleaseWhenIdle(deps);

  /** Begun at `begunAt`, on the depot's monotonic clock. */
  const confirm = async (record: FirmwareUpdateRecord, begunAt: number, context: StepContext): Promise<void> => {
    const profile = requireProfile((await viewStation(deps, record.station)).profile);
    const booted = await reboot(record, context, driverOf(profile), now);
    const seen = booted.event === 'proved' ? await lookAtCertificates(deps, record, context.signal) : undefined;
    if (seen?.verdict === 'later') {
      // The reboot is not begun again, and what is told after it counts from it.
      await context.commit(store.transaction().put({ ...seen.record, rebootBegunAt: begunAt }));
      return;
    }
    const verdict =
      seen?.verdict === 'worse'
        ? {
            ...booted,
            event: 'fellBack' as const,
            detail: { reason: 'certificate_store' as const, message: seen.message },
          }
        : booted;
    const { context: transition, state } = await viewStation(deps, record.station);
    const transaction = store.transaction();
    if ('seen' in verdict) noteEvidence(transaction, record.station, state, verdict.seen.evidence, verdict.seen.asked);
    const afterBoot = { at: now().monotonic, settleMs: profile.settleMs, begunAt };
    applyAll(transaction, record, [{ event: verdict.event, detail: { ...verdict.detail, afterBoot } }], transition);
    // A restart that failed is no reason for a later boot.
    if (verdict.event === 'installFailed' && state.restartExpected?.operationId === record.id) {
      transaction.setStation(record.station, { [STATION_FIELDS.restartExpected]: undefined });
    }
    await context.commit(transaction);
  };

  return async (record: FirmwareUpdateRecord, context: StepContext): Promise<void> => {
    if (isEnded(record)) return releaseWhenIdle(record, context);
    if (record.rebootBegunAt === undefined) await awaitTold(record, context.signal);
    const begunAt = record.rebootBegunAt ?? now().monotonic;
    await orSettle(
      context,
      () => confirm(record, begunAt, context),
      // What is known of the reboot is kept for the next look.
      (error) => settleUpdate(deps, { ...record, rebootBegunAt: begunAt }, 'reboot', error, context.signal),
    );
  };
}
