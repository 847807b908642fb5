/** Limits of open event streams: in all, and for each caller, so that one caller cannot use up the limit of all. */
import { Problem } from '../problems.js';

export type StreamQuota = ReturnType<typeof createStreamQuota>;

export function createStreamQuota(most: number, mostPerCaller: number, onChange: (open: number) => void) {
  const ofCaller = new Map<string, number>();
  let open = 0;
  return {
    /**
     * Count a stream as open; the function counts it as closed, once. Throws `TOO_MANY_EVENT_STREAMS` for what one caller
     * has open, `TOO_MANY_SUBSCRIBERS` for what all have.
     */
    take(caller: string): () => void {
      const own = ofCaller.get(caller) ?? 0;
      if (own >= mostPerCaller) {
        const detail = `${caller} has ${own} event streams open at this gateway, as many as one caller may (MAX_EVENT_STREAMS_PER_CALLER): close one, or follow several stations with one.`;
        throw new Problem('TOO_MANY_EVENT_STREAMS', detail);
      }
      if (open >= most) {
        const detail = `${open} event streams are open at this gateway, as many as it may serve (MAX_EVENT_SUBSCRIBERS).`;
        throw new Problem('TOO_MANY_SUBSCRIBERS', detail);
      }
      ofCaller.set(caller, own + 1);
      open += 1;
      onChange(open);
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        open -= 1;
        const left = (ofCaller.get(caller) ?? 1) - 1;
        if (left === 0) ofCaller.delete(caller);
        else ofCaller.set(caller, left);
        onChange(open);
      };
    },
  };
}
