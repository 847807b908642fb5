/** What a station may have heard, judged. Pure. */

export interface Heard {
  readonly status: string;
  /** The boot of EVerest it was heard in. */
  readonly boot: number;
}

export interface StatusVerdict {
  readonly faults: readonly string[];
  /** The final status came more than once in one boot, directly after itself. */
  readonly finalRepeats: number;
}

/**
 * The statuses in order, each at least once, repeats only directly after themselves. The status that asks for permission
 * may come again before the install begins, once for each restart of EVerest: what was not told yet when it restarted is
 * told to the new one, and so is that the permission is asked for anew. So may an end: EVerest may have heard it and gone
 * before it could pass it on.
 */
export function judgeStatuses(heard: readonly Heard[], expected: readonly string[], trigger: string): StatusVerdict {
  const faults: string[] = [];
  const firstBoot = heard[0]?.boot ?? 0;
  let next = 0;
  let finalRepeats = 0;
  let again = 0;
  let boot = firstBoot;
  const begins = expected.indexOf('Installing');
  for (const { status, boot: heardIn } of heard) {
    const isInSameBoot = heardIn === boot;
    boot = heardIn;
    const isAskedAgain =
      status === trigger && again < boot - firstBoot && next > expected.indexOf(trigger) && next <= begins;
    if (status === expected[next]) next += 1;
    else if (status === expected[next - 1]) finalRepeats += next === expected.length && isInSameBoot ? 1 : 0;
    else if (isAskedAgain) again += 1;
    else {
      faults.push(`${status} after ${expected[next - 1] ?? 'nothing'}`);
      const at = expected.indexOf(status, next);
      if (at >= 0) next = at + 1;
    }
  }
  if (next < expected.length) faults.push(`never heard ${expected.slice(next).join(' ')}`);
  const names = heard.map(({ status }) => status).join(' ');
  return { faults: faults.map((fault) => `${fault} (heard: ${names})`), finalRepeats };
}
