/** What has to be known of lines that were judged by their times. Pure. */
import type { LogNote } from '../port.js';
import type { StationZone } from './station-zone.js';
import { carriedText, LEFT_AHEAD } from './steady-clock.js';
import type { LinesSeen } from './window-lines.js';

export const timeText = (ms: number): string => new Date(ms).toISOString();

export function notesOfLines(
  { steps: [step], clock, hasLocalTimes }: LinesSeen,
  { zone, zoneMinutes }: StationZone,
): readonly LogNote[] {
  const notes: LogNote[] = [];
  if (step) {
    const [from, to] = [timeText(step.from), timeText(step.to)];
    const early = carriedText(clock.carried);
    notes.push(
      { code: 'clock_set_back', text: `the times of its records go back from ${from} to ${to}${early}` },
      { code: 'overlap', text: `records before and after that have times between ${to} and ${from}` },
    );
  }
  if (clock.leavesAhead) notes.push({ code: 'incomplete', text: LEFT_AHEAD });
  if (hasLocalTimes && zone === undefined && zoneMinutes !== 0)
    notes.push({
      code: 'zone_unknown',
      text: 'its times name no zone, nor does the station: they are read by the offset to UTC that it has now',
    });
  return notes;
}
