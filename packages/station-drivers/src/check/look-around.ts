/** What is at a station of which nothing is written down yet: asked once, when its entry is made. Changes nothing there. */

import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { unreachable } from '../pool.js';
import { call } from '../station/call.js';
import { stationParts } from '../station/real-driver.js';
import { plainText } from '../station-text.js';
import { createSshPool, type OnLogin } from '../transports/ssh/ssh-transport.js';

const TIMEOUT_MS = 30_000;
const PROGRAMS = ['sudo', 'systemctl', 'rauc', 'swupdate', 'swupdate-client'] as const;
/** A line for the user, and one for each program that is there. */
const SCRIPT =
  'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; id -u; for each in "$@"; do command -v "$each" >/dev/null && echo "$each"; done; exit 0';

export interface Surroundings {
  readonly isRoot: boolean;
  /** Those of the named programs that are there. */
  readonly programs: ReadonlySet<string>;
}

/** The way that an entry names. Rejects with `STATION_UNREACHABLE`. `others`: more programs, by name or path. */
export async function lookAround(
  way: Omit<RealDriverEntry, 'profile' | 'command' | 'rauc' | 'swupdate'>,
  others: readonly string[],
  signal: AbortSignal,
  onLogin: OnLogin,
): Promise<Surroundings> {
  const connections = createSshPool({ onLogin });
  try {
    // The profile is what is looked for: whichever stands here is not asked.
    const { transport } = stationParts({ ...way, profile: 'rauc' }, connections);
    const argv = ['/bin/sh', '-c', SCRIPT, 'khumbu', ...PROGRAMS, ...others];
    const { code, stdout, stderr } = await call(transport, argv, { signal, timeoutMs: TIMEOUT_MS });
    const [uid = '', ...programs] = stdout.toString('utf8').trimEnd().split('\n');
    if (code !== 0 || !/^\d+$/.test(uid))
      throw unreachable(`the login shell is no POSIX shell: ${plainText.shown(stderr)}`);
    return { isRoot: uid === '0', programs: new Set(programs) };
  } finally {
    connections.close();
  }
}
