/**
 * How much of what a sender sends is worked on: what comes within its buckets is served; so much beyond it gets the
 * default reply; the rest is dropped, as if the network had. A long message counts as several.
 */
export type Treatment = 'serve' | 'refuse' | 'drop';

const BYTES_PER_MESSAGE = 8192;
/** So many seconds' worth may come at once. */
const BURST_S = 2;

interface Bucket {
  left: number;
  at: number;
}

export interface TokenBuckets {
  readonly served: Bucket;
  readonly refused: Bucket;
}

/** A new sender has its whole burst. `now`: monotonic milliseconds. */
export const fullBuckets = (perS: number, now: number): TokenBuckets => ({
  served: { left: perS * BURST_S, at: now },
  refused: { left: perS * BURST_S, at: now },
});

function spend(bucket: Bucket, cost: number, perS: number, now: number): boolean {
  bucket.left = Math.min(perS * BURST_S, bucket.left + ((now - bucket.at) / 1000) * perS);
  bucket.at = now;
  // Whoever has anything left may go below zero: a message that costs more than a burst comes through now and then.
  if (bucket.left <= 0) return false;
  bucket.left -= cost;
  return true;
}

/** Spends what the message costs. */
export function treat(buckets: TokenBuckets, bytes: number, perS: number, now: number): Treatment {
  const cost = 1 + Math.floor(bytes / BYTES_PER_MESSAGE);
  if (spend(buckets.served, cost, perS, now)) return 'serve';
  return spend(buckets.refused, cost, perS, now) ? 'refuse' : 'drop';
}
