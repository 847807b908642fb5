import type { EffectStep, StationDriver } from '@khumbu/station-drivers/port';

/** Whether the station has begun it. If it has not it never will. */
export async function hasBegun(
  driver: StationDriver,
  operationId: string,
  step: EffectStep,
  signal: AbortSignal,
): Promise<boolean> {
  const isThere = async () => (await driver.observeEffect(operationId, step, signal)).state !== 'absent';
  if (await isThere()) return true;
  // A worker that was frozen since before its first effect on the station must not begin now.
  await driver.retire(operationId, signal);
  return isThere();
}
