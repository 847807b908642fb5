/** What a look at an installation has found. */
export interface Finding {
  /** A stable word. */
  readonly subject: string;
  /** `wrong`: it keeps Khumbu from working as promised. `warning`: for people. `unknown`: it could not be found out. */
  readonly outcome: 'ok' | 'warning' | 'wrong' | 'unknown';
  readonly text: string;
  /** What to do; absent where all is well. */
  readonly remedy?: string;
}

/** Findings of one subject. */
export const about = (subject: string) => ({
  ok: (text: string): Finding => ({ subject, outcome: 'ok', text }),
  warning: (text: string, remedy: string): Finding => ({ subject, outcome: 'warning', text, remedy }),
  wrong: (text: string, remedy: string): Finding => ({ subject, outcome: 'wrong', text, remedy }),
  unknown: (text: string, remedy: string): Finding => ({ subject, outcome: 'unknown', text, remedy }),
});
