/**
 * A worker process: brings one update to its end with the product's driver, as the steps of the ota-worker do, from whatever
 * state the record is in. The record is kept by the parent, over the IPC channel.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import type { FirmwareImage } from '@khumbu/station-drivers/port';
import { createRealDriver } from '@khumbu/station-drivers/station/real-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { judgeEvidence } from '@khumbu/steps/firmware-update/confirm';
import { isFinal, type Move, type UpdateRecord } from './record.js';

export interface WorkerTask {
  readonly entry: RealDriverEntry;
  readonly operationId: string;
  readonly image: FirmwareImage;
  /** Each effect is started by so many calls at the same time. */
  readonly startsAtOnce: number;
}

/** What it says to its parent. `codes`: of errors it met and tried again after. */
export type Said =
  | { readonly said: 'ready' }
  | { readonly said: 'move'; readonly move: Move | undefined }
  | { readonly said: 'error'; readonly code: string; readonly message: string }
  | { readonly said: 'over' }
  | { readonly said: 'rest'; readonly openConnections: number };

export type Told =
  | { readonly told: 'work'; readonly task: WorkerTask }
  | { readonly told: 'record'; readonly record: UpdateRecord };

const RETRY_MS = 100;
/** A connection that is used no more is closed after so long; one whose session was lost is not. */
const IDLE_MS = 400;
const REST_MS = 30_000;

const say = (message: Said): void => void process.send?.(message);
const { signal } = new AbortController();

let hear: (record: UpdateRecord) => void = () => {};
/** Store it, or only look: the record as it stands then. */
const ask = (move?: Move): Promise<UpdateRecord> =>
  new Promise((resolve) => {
    hear = resolve;
    say({ said: 'move', move });
  });

async function work({ entry, operationId, image, startsAtOnce }: WorkerTask): Promise<void> {
  const pool = createSshPool({ idleMs: IDLE_MS });
  const driver = createRealDriver('gate', entry, pool);
  const start = async (effect: Parameters<typeof driver.start>[0]): Promise<void> => {
    const calls = Array.from({ length: startsAtOnce }, () => driver.start(effect, signal));
    // A job ends when all of its calls have ended: none may outlive the worker's work.
    const [failed] = (await Promise.allSettled(calls)).filter((call) => call.status === 'rejected');
    if (failed) throw failed.reason;
  };

  const step = async (record: UpdateRecord): Promise<UpdateRecord> => {
    const from = record.state;
    if (from === 'Accepted') {
      const { bootId } = await driver.observe(signal);
      return ask({ from, to: { state: 'Installing', bootIdBefore: bootId } });
    }
    if (from === 'Installing') {
      await start({ step: 'install', operationId, image });
      const end = await awaitEffect(driver, operationId, 'install', signal);
      if (end.state === 'succeeded') return ask({ from, to: { state: 'InstallRebooting' } });
      const state = end.code === 'verification_failed' ? 'InstallVerificationFailed' : 'InstallationFailed';
      return ask({ from, to: { state, reason: end.message } });
    }
    await start({ step: 'reboot', operationId });
    const end = await awaitEffect(driver, operationId, 'reboot', signal);
    if (end.state === 'failed') return ask({ from, to: { state: 'InstallationFailed', reason: 'reboot_failed' } });
    const { bootIdBefore = '' } = record;
    const { event, reason } = judgeEvidence({ id: operationId, image, bootIdBefore }, await driver.observe(signal));
    return ask({
      from,
      to: { state: event === 'proved' ? 'Installed' : 'InstallationFailed', ...(reason ? { reason } : {}) },
    });
  };

  for (let record = await ask(); !isFinal(record.state); ) {
    try {
      record = await step(record);
    } catch (error) {
      const { code = 'NONE', message = String(error) } = error as { code?: string; message?: string };
      say({ said: 'error', code, message });
      // As a job that failed: tried again, from the record as it stands then.
      await pause(RETRY_MS);
      record = await ask();
    }
  }
  say({ said: 'over' });
  const until = performance.now() + REST_MS;
  while (pool.open() > 0 && performance.now() < until) await pause(20);
  say({ said: 'rest', openConnections: pool.open() });
}

process.on('message', (message: Told) => {
  if (message.told === 'record') hear(message.record);
  else void work(message.task);
});
// The process that started it is gone.
process.on('disconnect', () => process.exit(1));
say({ said: 'ready' });
