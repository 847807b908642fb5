/** Limits of what stays open: in all, and for each caller, so that one caller cannot use up the limit of all. */
import type { ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { Problem } from '../problems.js';

export type StreamQuota = ReturnType<typeof createStreamQuota>;

interface QuotaWords {
  readonly what: string;
  /** Codes and settings: for what one caller has open, and for what all have. */
  readonly ofCaller: readonly [code: ProblemCode, setting: string];
  readonly ofAll: readonly [code: ProblemCode, setting: string];
}

const EVENT_STREAMS: QuotaWords = {
  what: 'event streams',
  ofCaller: ['TOO_MANY_EVENT_STREAMS', 'MAX_EVENT_STREAMS_PER_CALLER'],
  ofAll: ['TOO_MANY_SUBSCRIBERS', 'MAX_EVENT_SUBSCRIBERS'],
};

export const LOG_VIEWS: QuotaWords = {
  what: 'live views of logs',
  ofCaller: ['TOO_MANY_LOG_VIEWS', 'MAX_LOG_VIEWS_PER_CALLER'],
  ofAll: ['TOO_MANY_LOG_VIEWS', 'MAX_LOG_VIEWS'],
};

export function createStreamQuota(
  most: number,
  mostPerCaller: number,
  onChange: (open: number) => void,
  { what, ofCaller: [ofCallerCode, ofCallerSetting], ofAll: [ofAllCode, ofAllSetting] }: QuotaWords = EVENT_STREAMS,
) {
  const ofCaller = new Map<string, number>();
  let open = 0;
  return {
    /**
     * Count one as open; the function counts it as closed, once. Throws `TOO_MANY_EVENT_STREAMS` for what one caller
     * has open, `TOO_MANY_SUBSCRIBERS` for what all have; of views `TOO_MANY_LOG_VIEWS`.
     */
    take(caller: string): () => void {
      const own = ofCaller.get(caller) ?? 0;
      if (own >= mostPerCaller) {
        const hint = what === EVENT_STREAMS.what ? ', or follow several stations with one' : '';
        const detail = `${caller} has ${own} ${what} open at this gateway, as many as one caller may (${ofCallerSetting}): close one${hint}.`;
        throw new Problem(ofCallerCode, detail);
      }
      if (open >= most) {
        const detail = `${open} ${what} are open at this gateway, as many as it may serve (${ofAllSetting}).`;
        throw new Problem(ofAllCode, detail);
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
