/** Ids of Redis stream entries, `milliseconds-sequence`: they rise, and they are the event ids of REST. Pure. */

const PATTERN = /^(\d{1,15})-(\d{1,20})$/;

const MAX_SEQUENCE = 2n ** 64n - 1n;

/** What Redis takes as one. */
export function isStreamId(text: string): boolean {
  const sequence = PATTERN.exec(text)?.[2];
  return sequence !== undefined && BigInt(sequence) <= MAX_SEQUENCE;
}

export function compareIds(a: string, b: string): number {
  const [ams = '0', aseq = '0'] = a.split('-');
  const [bms = '0', bseq = '0'] = b.split('-');
  if (ams !== bms) return Number(ams) - Number(bms);
  const difference = BigInt(aseq) - BigInt(bseq);
  return difference > 0n ? 1 : difference < 0n ? -1 : 0;
}

/** The greatest id before this one. */
export function idBefore(id: string): string {
  const [ms = '0', seq = '0'] = id.split('-');
  if (BigInt(seq) > 0n) return `${ms}-${BigInt(seq) - 1n}`;
  return ms === '0' ? '0-0' : `${Number(ms) - 1}-${MAX_SEQUENCE}`;
}
