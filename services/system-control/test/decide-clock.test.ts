import { type ClockSituation, type Correction, decideCorrection } from '@khumbu/steps/station/decide-clock';
import t from 'tap';

const NOW = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
const YEAR = 366 * 24 * HOUR;
const policy = { largestStepMs: YEAR, slewBelowMs: 5000 };

const leave = (reason: Extract<Correction, { kind: 'leave' }>['reason']): Correction => ({ kind: 'leave', reason });
const step: Correction = { kind: 'step', to: NOW };
const slew = (byMs: number): Correction => ({ kind: 'slew', byMs });

/** What is, beside a station that can slew, where nothing runs, asked by its CSMS; how far its clock is ahead; what follows. */
const CASES: readonly (readonly [Partial<ClockSituation>, number, Correction, string])[] = [
  [{}, 2000, slew(-2000), 'a little ahead'],
  [{}, -5000, slew(5000), 'a little behind, at the threshold'],
  [{}, -5001, step, 'beyond it'],
  [{ canSlew: false }, 2000, step, 'a station that cannot slew'],
  [{ policy: { ...policy, slewBelowMs: 0 } }, 2000, step, 'never slewed by setting'],
  [{ transactionRuns: true }, 2000, slew(-2000), 'a slew keeps the order'],
  [{ transactionRuns: true, canSlew: false }, 2000, leave('transaction_running'), 'no step in a transaction'],
  [{ transactionRuns: true }, HOUR, leave('transaction_running'), 'nor a larger one'],
  [{ transactionRuns: true, byPerson: true }, HOUR, leave('transaction_running'), 'nor by a person'],
  [{ transactionRuns: true, clockMs: 0 }, 0, leave('transaction_running'), 'nor of a clock that was never set'],
  [{}, HOUR, step, 'an hour'],
  [{}, -YEAR, step, 'at the limit'],
  [{}, -YEAR - 1, leave('clock_step_too_large'), 'beyond it, forward'],
  [{}, YEAR + 1, leave('clock_step_too_large'), 'beyond it, back'],
  [{ byPerson: true }, -YEAR - 1, step, 'a person may'],
  [{ clockMs: 0 }, 0, step, 'a clock that was never set shows 1970'],
  [{ clockMs: Date.UTC(2023, 11, 31) }, 0, step, 'or the date of its system'],
  [{ policy: { ...policy, largestStepMs: HOUR } }, 2 * HOUR, leave('clock_step_too_large'), 'a limit by setting'],
];

void t.test('slew, step, or leave it', (t) => {
  for (const [change, aheadMs, expected, what] of CASES) {
    const usual = { clockMs: NOW + aheadMs, to: NOW, policy, byPerson: false, transactionRuns: false, canSlew: true };
    t.same(decideCorrection({ ...usual, ...change }), expected, what);
  }
  t.end();
});
