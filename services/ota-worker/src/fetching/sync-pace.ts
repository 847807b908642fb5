/**
 * When what a download has written is synced, which is what a power cut or another host leaves of it. A kill costs nothing of
 * what was appended, whatever this says.
 *
 * A sync costs the flash 20 to 30 KiB beside the bytes themselves (ext4: the sidecar and three commits). On a slow line one follows
 * the other soon, so that 256 KiB at most are at stake: the flash takes a sixth more than the image has. A fast line brings
 * as much again in no time, and would have hundreds of syncs: it has one a second.
 */

/** From here on it is worth a sync, if the last one ended so long ago... */
const WORTH_BYTES = 128 * 1024;
const PAUSE_MS = 50;
/** ...and the line is a slow one: it has not brought more than this meanwhile. */
const FAST_BYTES = 1024 * 1024;
/** Of any line. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_MS = 1000;

/** How soon to ask again. */
export const LOOK_MS = PAUSE_MS;

/** `unsynced`: bytes since the last sync began; `ms`: since it ended. Pure. */
export function isSyncDue(unsynced: number, ms: number): boolean {
  if (unsynced >= MOST_BYTES || (unsynced > 0 && ms >= MOST_MS)) return true;
  return ms >= PAUSE_MS && unsynced >= WORTH_BYTES && unsynced < FAST_BYTES;
}
