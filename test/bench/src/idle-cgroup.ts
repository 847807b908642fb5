/** A control group whose processes run on a processor that nothing else wants: cpu.idle of cgroups, since Linux 5.15. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';

/** Version 1 with the controller of processors, else version 2. */
const HIERARCHY = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
const GONE_MS = 30_000;

export interface IdleCgroup {
  /** Once all in it have ended. */
  remove(): Promise<void>;
}

/**
 * Move a process, and what it starts from now on, there. `nice` is not enough: with `kernel.sched_autogroup_enabled` a
 * nice value counts inside a session alone, and a server of logins begins one for each. Why it cannot be had is returned.
 */
export function moveToIdleCgroup(pid: number): IdleCgroup | string {
  if (HIERARCHY === undefined) return 'there are no control groups of processors';
  const dir = join(HIERARCHY, `khumbu-bench-${pid}`);
  try {
    mkdirSync(dir);
  } catch (error) {
    return describeError(error);
  }
  const remove = async (): Promise<void> => {
    const removed = (): boolean => {
      try {
        rmdirSync(dir);
        return true;
      } catch (error) {
        if (hasCode(error, 'EBUSY')) return false;
        throw error;
      }
    };
    await awaitUntil(
      async () => removed(),
      GONE_MS,
      () => `the processes in ${dir} to end`,
    );
  };
  try {
    writeFileSync(join(dir, 'cpu.idle'), '1');
    writeFileSync(join(dir, 'cgroup.procs'), String(pid));
    return { remove };
  } catch (error) {
    rmdirSync(dir);
    return describeError(error);
  }
}
