/** Faults on the depot's side of an upload: the station, its logs, the disk of the worker. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { startOrigin } from '@khumbu/test-support/origin';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import type { Test } from 'tap';
import { type Fault, type Played, passing } from './fault.js';
import type { Openings, TestStation } from './station.js';

export async function stationFaults(t: Test, dir: string, station: TestStation): Promise<readonly Fault[]> {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  let count = 0;
  const of = (broken: { readonly logs?: Openings; readonly spoolDir?: string }, free = async () => {}): Played => {
    const path = `/station-${++count}`;
    return {
      broken: { location: origin.receive(path), ...broken },
      async mend() {
        await free();
        return broken.logs === undefined ? {} : { logs: station.openLogs };
      },
      arrived: () => origin.uploads.items.find((upload) => upload.path === path)?.body ?? Buffer.alloc(0),
    };
  };
  const refusing =
    (code: string): Openings =>
    async () =>
      Promise.reject(new CodedError(code, 'as told'));
  const faults = [
    passing('the station cannot be reached', 'station_unreachable', () =>
      of({ logs: refusing('STATION_UNREACHABLE') }),
    ),
    passing('the station has no logs that can be read', 'logs_unavailable', () =>
      of({ logs: refusing('LOGS_UNAVAILABLE') }),
    ),
  ];
  const disk = await mountSmallDisk(t, `${dir}/spool`, 300 * 1024 * 1024);
  if (!disk) return faults;
  return [
    ...faults,
    passing('the disk of the worker is full', 'spool_full', async () => {
      await disk.fill(1024 * 1024);
      return of({ spoolDir: disk.path }, () => disk.free());
    }),
    passing('the disk of the worker is read-only', 'spool_unusable', async () => {
      await disk.readOnly(true);
      return of({ spoolDir: disk.path }, () => disk.readOnly(false));
    }),
  ];
}
