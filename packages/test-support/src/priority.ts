/** Tests of how soon something is answered must not depend on what else the machine does. */
import { constants, setPriority } from 'node:os';

/** Only root gives priority; for others nothing changes. */
function setWherePossible(pid: number, priority: number): void {
  try {
    setPriority(pid, priority);
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** This process, and all it starts from now on, get the processor before what is of ordinary priority. */
export const goFirst = (): void => setWherePossible(process.pid, constants.priority.PRIORITY_HIGHEST);

/** A process that this one has started is of ordinary priority again. */
export const goWithAllOthers = (pid: number): void => setWherePossible(pid, constants.priority.PRIORITY_NORMAL);
