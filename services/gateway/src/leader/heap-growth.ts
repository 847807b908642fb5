import { setFlagsFromString } from 'node:v8';

/**
 * Long frames count as memory of V8's. With its default, a leader spends twice a second of a flood of them on looking
 * through a heap in which hardly anything has changed, 5 ms each time, and everybody's answers wait. So its heap may
 * grow to three times what was alive at the last look. One that only stands by would spread the same growth over
 * minutes, and keeps the default (0).
 */
export function setHeapGrowth(leads: boolean): void {
  setFlagsFromString(`--heap-growing-percent=${leads ? 200 : 0}`);
}
