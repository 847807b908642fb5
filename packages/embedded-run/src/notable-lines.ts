/** Which log lines of a service are worth the terminal: warnings and errors, a few at a time. */

const WARN = 40;
const LEVELS: Record<number, string> = { 40: 'warning', 50: 'error', 60: 'fatal' };
const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 5;
const MOST_CHARACTERS = 500;

interface LogRecord {
  readonly level?: unknown;
  readonly msg?: unknown;
  readonly err?: { readonly message?: unknown };
  readonly reason?: unknown;
}

/** What a station or a server sent may be in it: it must not steer the terminal, nor fill it. */
const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD').slice(0, MOST_CHARACTERS);

/** A line for a person from a JSON log line; `undefined`: not worth it. */
function notable(line: string): { isError: boolean; text: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  let record: LogRecord;
  try {
    record = JSON.parse(line) as LogRecord;
  } catch (error) {
    // A line cut in two is no record.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof record.level !== 'number' || record.level < WARN) return undefined;
  const why = [record.err?.message, record.reason].find((part) => typeof part === 'string');
  const words = [LEVELS[record.level] ?? 'error', String(record.msg), ...(why === undefined ? [] : [why])];
  return { isError: record.level > WARN, text: printable(words.join(': ')) };
}

/** Of the last lines of a process that ended, newest first, the one that says why. */
export const whyItEnded = (lines: readonly string[]): string =>
  lines.map((line) => notable(line)?.text).find((line) => line !== undefined) ??
  lines.find((line) => /Error\b.*:/.test(line)) ??
  lines[0] ??
  'it says nothing';

/**
 * Feed it output as it comes; it says what is notable, and counts what it left out. Warnings, which anybody who sends
 * something can cause, take no places of errors.
 */
export function notableLines(say: (line: string) => void, now: () => number = () => performance.now()) {
  let rest = '';
  let windowStart = Number.NEGATIVE_INFINITY;
  let said = { errors: 0, warnings: 0 };
  let leftOut = 0;
  return (chunk: string): void => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-100_000);
    for (const text of lines) {
      const line = notable(text);
      if (line === undefined) continue;
      if (now() - windowStart > WINDOW_MS) {
        if (leftOut > 0) say(`... and ${leftOut} more like that`);
        windowStart = now();
        said = { errors: 0, warnings: 0 };
        leftOut = 0;
      }
      const kind = line.isError ? 'errors' : 'warnings';
      if (said[kind] < LINES_PER_WINDOW) say(line.text);
      else leftOut += 1;
      said[kind] += 1;
    }
  };
}
