/** Versions for the manifest: of Khumbu, and of what the station runs. */
import { VERSION } from '@khumbu/shared/http/user-agent';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { ArchiveManifest, ArchiveNote } from './manifest.js';

export interface Software {
  readonly software: NonNullable<ArchiveManifest['software']>;
  readonly leftOut: readonly ArchiveNote[];
}

/** A station that does not tell costs no logs: the manifest says so. Rejects when it is lost, as its logs would be. */
export async function softwareOf(driver: Pick<StationDriver, 'observe'>, signal: AbortSignal): Promise<Software> {
  try {
    const { version, bootId, slot } = await driver.observe(signal);
    const station = {
      ...(version === undefined ? {} : { version }),
      boot_id: bootId,
      ...(slot === undefined ? {} : { slot }),
    };
    return { software: { khumbu: VERSION, station }, leftOut: [] };
  } catch (error) {
    if (signal.aborted || hasCode(error, 'STATION_UNREACHABLE')) throw error;
    const leftOut = [{ source: 'software', code: 'not_observed', text: describeError(error) }];
    return { software: { khumbu: VERSION }, leftOut };
  }
}
