/** The statuses a station may have received, judged. Pure. */

export interface Heard {
  readonly status: string;
  /** The boot of EVerest it arrived in. */
  readonly boot: number;
}

export interface StatusVerdict {
  readonly faults: readonly string[];
  /** The final status came more than once in one boot, directly after itself. */
  readonly finalRepeats: number;
}

/**
 * The statuses in order, each at least once, repeats only directly after themselves. The status that asks for permission
 * may come again before the install begins, once for each restart of EVerest: what was not sent yet when it restarted is
 * sent to the new one, and so is the status that asks for the permission anew. An end may come once more in the boot directly
 * after the one that received it first, and in no other: EVerest may have gone before it could pass it on.
 */
export function judgeStatuses(heard: readonly Heard[], expected: readonly string[], trigger: string): StatusVerdict {
  const faults: string[] = [];
  const asks = expected.indexOf(trigger);
  const begins = expected.indexOf('Installing');
  let next = 0;
  let finalRepeats = 0;
  let askedAgain = 0;
  heard.forEach(({ status, boot }, index) => {
    const restarts = boot - (heard[0]?.boot ?? boot);
    const isRepeat = status === expected[next - 1];
    if (isRepeat && next === expected.length) {
      const endedIn = heard.find((one) => one.status === status)?.boot ?? boot;
      if (boot === heard[index - 1]?.boot) finalRepeats += 1;
      else if (boot !== endedIn + 1) faults.push(`${status} in boot ${boot}, after it was heard in boot ${endedIn}`);
    } else if (status === expected[next]) next += 1;
    else if (isRepeat) return;
    else if (status === trigger && askedAgain < restarts && next > asks && next <= begins) askedAgain += 1;
    else {
      faults.push(`${status} after ${expected[next - 1] ?? 'nothing'}`);
      const at = expected.indexOf(status, next);
      if (at >= 0) next = at + 1;
    }
  });
  if (next < expected.length) faults.push(`never heard ${expected.slice(next).join(' ')}`);
  const names = heard.map(({ status }) => status).join(' ');
  return { faults: faults.map((fault) => `${fault} (heard: ${names})`), finalRepeats };
}
