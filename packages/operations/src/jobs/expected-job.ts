/**
 * Which job should exist for a record now. Pure: jobs are a consequence of records and never the other way round, so a
 * job that was lost can be made again and one too many does nothing.
 */
import type { Moment } from '../clock/depot-clock.js';
import type { Work } from '../kinds/kind-definition.js';
import { KINDS, type OperationKind, type OperationRecord } from '../kinds/kinds.js';

/** One queue for each kind of work. */
export type QueueName = (typeof KINDS)[OperationKind]['queue'];
export const QUEUE_NAMES: readonly QueueName[] = [...new Set(Object.values(KINDS).map(({ queue }) => queue))];
export type JobName = (typeof KINDS)[OperationKind]['jobs'][number];

/** Job data is the record id and nothing else: everything else may change while the job waits. */
export interface JobData {
  readonly operationId: string;
}

export interface ExpectedJob {
  readonly queue: QueueName;
  readonly name: JobName;
  readonly jobId: string;
  /** A date that was asked for, milliseconds since 1970; passed or absent: at once. */
  readonly date?: number;
  /** The end of a pause, on the depot's monotonic clock; passed or absent: at once. */
  readonly notBefore?: number;
}

/** Milliseconds until the job may begin; 0: now. Pure. */
export const waitOf = ({ date, notBefore }: Pick<ExpectedJob, 'date' | 'notBefore'>, now: Moment): number =>
  Math.max(0, (date ?? 0) - now.wall, (notBefore ?? 0) - now.monotonic);

interface KindOfWork {
  readonly queue: QueueName;
  nextWork(record: OperationRecord): Work<JobName> | undefined;
}

/** The job this record wants, or `undefined` if it wants none: it waits for an event, is held, or has ended. */
export function expectedJob(record: OperationRecord): ExpectedJob | undefined {
  if (record.heldFor !== undefined) return undefined;
  const definition: KindOfWork = KINDS[record.kind];
  const work = definition.nextWork(record);
  return (
    work && {
      queue: definition.queue,
      ...work,
      jobId: `${record.id}.${work.name}.${record.run}`,
      ...(record.notBefore === undefined ? {} : { notBefore: record.notBefore }),
    }
  );
}
