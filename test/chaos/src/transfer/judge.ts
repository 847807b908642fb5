/** What is wrong with a download that was played; empty: nothing. Pure. */
import type { Plan } from './plan.js';
import { isHonest, refusalsOf } from './plan.js';
import type { Played } from './play.js';

/** What one cut or kill may cost, besides what is under way in the buffers of both kernels. */
const PER_BREAK = 256 * 1024;

export function judgePlayed(plan: Plan, played: Played): readonly string[] {
  const { ends, versions, images, parts, originBytes, breaks } = played;
  const faults: string[] = [];
  for (const { name, sha256 } of images) {
    if (name !== sha256) faults.push(`an image named ${name} is ${sha256}`);
    if (!versions.includes(sha256)) faults.push(`an image that the server never had: mixed`);
  }
  if (ends.at(-1) !== 'fetched') faults.push(`the last run ended with ${ends.at(-1)}`);
  if (!images.some(({ sha256 }) => sha256 === versions.at(-1))) faults.push('the file as it is now was not fetched');
  if (parts.length > 0) faults.push(`left behind: ${parts.join(', ')}`);
  if (ends.some((end) => end.startsWith('TypeError') || end === '')) faults.push(`a run crashed: ${ends.join(', ')}`);
  if (isHonest(plan)) {
    const fetches = ends.filter((end) => end === 'fetched').length;
    const most = plan.sizeBytes * fetches + (breaks + refusalsOf(plan)) * PER_BREAK;
    if (originBytes > most) faults.push(`${originBytes} bytes left the server, ${most} at most`);
  }
  return faults;
}
