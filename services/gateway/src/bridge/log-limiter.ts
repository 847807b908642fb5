/** One line for each kind of trouble at a time: a flood of bad messages must not become a flood of lines. */
const QUIET_MS = 10_000;
const MAX_KINDS = 1000;

/** `undefined`: do not log now; otherwise how many were left out since the last line. */
export function createLogLimiter(now: () => number): (kind: string) => number | undefined {
  const kinds = new Map<string, { at: number; left: number }>();
  return (kind) => {
    const seen = kinds.get(kind);
    if (seen && now() - seen.at < QUIET_MS) {
      seen.left++;
      return undefined;
    }
    if (!seen && kinds.size >= MAX_KINDS) {
      const oldest = kinds.keys().next().value;
      if (oldest !== undefined) kinds.delete(oldest);
    }
    kinds.set(kind, { at: now(), left: 0 });
    return seen?.left ?? 0;
  };
}
