import type { DriverCheck, StationDriver } from '../port.js';
import { EVERY_VERB, verdictsOf, wanting } from './findings.js';

/** A driver may be one of somebody else's, which does not tell. */
export async function checkBy(driver: StationDriver, signal: AbortSignal): Promise<DriverCheck> {
  if (driver.check) return driver.check(signal);
  const findings = [
    wanting('unknown', 'check', 'its driver does not tell', 'its maker can add the method check', EVERY_VERB),
  ];
  return { findings, verbs: verdictsOf(findings) };
}
