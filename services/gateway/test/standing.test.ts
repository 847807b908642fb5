import t from 'tap';
import { type Act, assertMay, MAY, type Standing, standingOf } from '../src/leader/standing.js';

void t.test('what a gateway is, by what it knows of the lease', (t) => {
  const rows: [isOurs: boolean, leftMs: number, standing: Standing][] = [
    [true, 1700, 'leading'],
    [true, 1, 'leading'],
    [true, 0, 'refusing'],
    [true, -60_000, 'refusing'],
    [false, 0, 'standby'],
    // It was released, or another holder was seen: what Redis had promised before counts no more.
    [false, 1700, 'standby'],
  ];
  for (const [isOurs, leftMs, standing] of rows)
    t.equal(standingOf(isOurs, leftMs), standing, `${isOurs ? 'ours' : 'not ours'}, ${leftMs} ms left`);
  t.end();
});

void t.test('what it may do', (t) => {
  const acts: readonly Act[] = ['publish', 'refuse', 'store'];
  const rows: Record<Standing, readonly Act[]> = {
    leading: acts,
    refusing: ['refuse'],
    standby: [],
  };
  for (const [standing, may] of Object.entries(rows) as [Standing, readonly Act[]][])
    for (const act of acts) {
      t.equal(MAY[standing][act], may.includes(act), `${standing}: ${act}`);
      if (may.includes(act)) t.doesNotThrow(() => assertMay(standing, act));
      else t.throws(() => assertMay(standing, act), { code: 'NOT_LEADING' });
    }
  t.end();
});
