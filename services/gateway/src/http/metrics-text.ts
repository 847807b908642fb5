/** The text of `/metrics`, made once for all requests within a moment: it takes some milliseconds of the only thread. */
import type { Registry } from 'prom-client';

const KEPT_MS = 500;

export function createMetricsText(metrics: Registry): () => Promise<string> {
  let text: Promise<string> | undefined;
  let madeAt = 0;
  return () => {
    const now = performance.now();
    if (text && now - madeAt < KEPT_MS) return text;
    madeAt = now;
    const made = metrics.metrics();
    text = made;
    made.catch(() => {
      if (text === made) text = undefined;
    });
    return made;
  };
}
