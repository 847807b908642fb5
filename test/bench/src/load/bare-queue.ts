/** The queue of the job-throughput baseline. */
export const BARE_QUEUE = 'bare';
